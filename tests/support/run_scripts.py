"""Many runs of scripts in one process, since most of a short run's time goes into imports.

That process is a fork (``tests.support.forked``). The scripts are still run as files from the root of the
repository, each with its own arguments, and may load models of the tests (``tests.support.run_script``).
"""

import contextlib
import io
import json
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass

from tests.support import forked
from tests.support.run_script import run

ROOT = forked.ROOT


@dataclass(frozen=True)
class Ended:
    """How a run of a script ended."""

    returncode: int
    stdout: str
    stderr: str


def run_scripts(calls: Sequence[Sequence[object]]) -> list[Ended]:
    """Run each (script, arguments ...) in turn, in one new process."""
    done = forked.run(_run_all, [[str(word) for word in call] for call in calls])
    assert done.returncode == 0, done.stderr
    return [Ended(**one) for one in json.loads(done.stdout)]


def _run(call: list[str]) -> dict[str, str | int]:
    code, out, err = 0, io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            run(call)
        except SystemExit as ending:  # what the interpreter would do with it
            code = ending.code if isinstance(ending.code, int) else int(ending.code is not None)
            if isinstance(ending.code, str):
                err.write(ending.code)
        except Exception:
            code = 1
            err.write(traceback.format_exc())
    return {"returncode": code, "stdout": out.getvalue(), "stderr": err.getvalue()}


def _run_all(calls: list[list[str]]) -> None:
    sys.stdout.write(json.dumps([_run(call) for call in calls]))
