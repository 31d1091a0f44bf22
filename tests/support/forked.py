"""Many processes for the price of one start: forks of a server that has imported the libraries once.

The project's own modules are imported by each process anew. Functions given to ``start`` are found by name in
the new process, so they live in ``tests.support``. All forks share one seed of hashes.
"""

import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_LIBRARIES = (
    "accelerate cv2 matplotlib.figure omegaconf onnx pycocotools.cocoeval scipy.optimize timm torch "
    "torch.utils.tensorboard torchvision tqdm"
)
_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(_LIBRARIES.split())
_TIMEOUT = 1500.0  # seconds; a process that hangs fails its test

Process = _context.Process


def start(function, *arguments, log: Path, errors: Path | None = None):
    """A running process of ``function(*arguments)``, in the root of the repository and this environment.

    Its outputs go to ``log``, or its standard error to ``errors``.
    """
    given = (log, errors, dict(os.environ), function, arguments)
    process = _context.Process(target=_logged, args=given)
    process.start()
    return process


def finish(process) -> int:
    """Its exit code, negative for the signal that killed it."""
    process.join(_TIMEOUT)
    if process.is_alive():
        process.kill()
        raise AssertionError(f"process {process.pid} hangs")
    return process.exitcode


def run(function, *arguments) -> subprocess.CompletedProcess[str]:
    """A process of ``function(*arguments)`` to its end: its exit code and what it printed."""
    with tempfile.TemporaryDirectory() as folder:
        log, errors = Path(folder, "log.txt"), Path(folder, "errors.txt")
        code = finish(start(function, *arguments, log=log, errors=errors))
        return subprocess.CompletedProcess(arguments, code, log.read_text(), errors.read_text())


def run_main(arguments, prepare=None) -> None:
    """``main.py`` on the tiny model, after ``prepare()``; ends the process as the script does."""
    if prepare is not None:
        prepare()
    sys.argv = ["main.py", "--config-file", "tests/support/tiny_config.py", *arguments]
    runpy.run_path("main.py", run_name="__main__")


def _logged(log: Path, errors: Path | None, environment: dict[str, str], function, arguments) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # the server ignores it
    multiprocessing.set_start_method(None, force=True)  # for its own processes: the usual one
    os.environ.clear(), os.environ.update(environment)  # the server's is that of its own start
    os.chdir(ROOT)
    os.dup2(_new_file(log), 1)
    os.dup2(1 if errors is None else _new_file(errors), 2)
    sys.stdout, sys.stderr = os.fdopen(1, "w", buffering=1), os.fdopen(2, "w", buffering=1)
    try:
        function(*arguments)
    except SystemExit:
        raise
    except BaseException:
        traceback.print_exc()
        raise


def _new_file(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
