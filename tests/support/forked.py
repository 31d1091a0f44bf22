"""Many processes for the price of one start: forks of a server that has imported the training once.

Functions given to ``start`` are found by name in the new process, so they live in ``tests.support``.
"""

import multiprocessing
import os
import runpy
import signal
import sys
import traceback
from pathlib import Path

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["util.training.engine", "tests.support.small_detr", "tests.support.tiny"])
_TIMEOUT = 300.0  # seconds; a process that hangs fails its test

Process = _context.Process


def start(function, *arguments, log: Path):
    """A running process of ``function(*arguments)`` whose outputs go to ``log``."""
    process = _context.Process(target=_logged, args=(log, function, arguments))
    process.start()
    return process


def finish(process) -> int:
    """Its exit code, negative for the signal that killed it."""
    process.join(_TIMEOUT)
    if process.is_alive():
        process.kill()
        raise AssertionError(f"process {process.pid} hangs")
    return process.exitcode


def run_main(arguments, prepare=None) -> None:
    """``main.py`` on the tiny model, after ``prepare()``; ends the process as the script does."""
    if prepare is not None:
        prepare()
    sys.argv = ["main.py", "--config-file", "tests/support/tiny_config.py", *arguments]
    runpy.run_path("main.py", run_name="__main__")


def _logged(log: Path, function, arguments) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # the server ignores it
    handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
    os.dup2(handle, 1), os.dup2(handle, 2)
    sys.stdout, sys.stderr = os.fdopen(1, "w", buffering=1), os.fdopen(2, "w", buffering=1)
    try:
        function(*arguments)
    except SystemExit:
        raise
    except BaseException:
        traceback.print_exc()
        raise
