"""Scripts are tested as people run them: in a process of their own, from the root of the repository.

The process is a fork of one that has imported the libraries (``tests.support.forked``). What a start from
nothing has to show is tested by new interpreters: ``tests/test_pipeline.py`` and ``run_afresh``.
"""

import runpy
import subprocess
import sys
from pathlib import Path

from tests.support import forked

ROOT = forked.ROOT


def run_tool(script: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run ``script``, a path below the root, to its end and keep what it printed, whatever its exit code."""
    return forked.run(_run_plain, [script, *map(str, arguments)])


def run_afresh(script: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """``run_tool`` by a new interpreter."""
    command = [sys.executable, script, *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def _run_plain(arguments: list[str]) -> None:
    """As the interpreter does it: the script's folder is on the path, and the root only if it says so."""
    script = ROOT / arguments[0]
    sys.path[:] = [str(script.parent), *(place for place in sys.path if Path(place).resolve() != ROOT)]
    sys.argv = arguments
    runpy.run_path(str(script), run_name="__main__")
