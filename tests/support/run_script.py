"""python -m tests.support.run_script SCRIPT ARGUMENTS: run a script that may load models of the tests.

``load_model`` refuses checkpoints that name code from outside the project; here ``tests`` is allowed too.
"""

import functools
import runpy
import sys

from util import checkpoint

if __name__ == "__main__":
    allowed = ("models", "transforms", "tests")
    checkpoint.load_model = functools.partial(checkpoint.load_model, packages=allowed)
    sys.argv = sys.argv[1:]
    runpy.run_path(sys.argv[0], run_name="__main__")
