"""Scripts are tested as people run them: as a process, from the root of the repository."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def run_tool(script: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run ``script``, a path below the root, to its end and keep what it printed, whatever its exit code."""
    command = [sys.executable, script, *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
