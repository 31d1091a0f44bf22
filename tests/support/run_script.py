"""python -m tests.support.run_script SCRIPT ARGUMENTS: run a script that may load models of the tests.

``load_model`` refuses checkpoints that name code from outside the project; here ``tests`` is allowed too.
"""

import runpy
import subprocess
import sys

from tests.support import forked
from util.checkpoints import checkpoint

TRUSTED = {section: (*allowed, "tests") for section, allowed in checkpoint.PACKAGES.items()}


def run(arguments: list[str]) -> None:
    """The script ``arguments[0]`` in this process, with the others as its arguments."""
    checkpoint.PACKAGES.update(TRUSTED)
    sys.argv = arguments
    runpy.run_path(sys.argv[0], run_name="__main__")


def run_trusting(script: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """The script to its end in a process of its own (``tests.support.forked``), and what it printed."""
    return forked.run(run, [script, *map(str, arguments)])


if __name__ == "__main__":
    run(sys.argv[1:])
