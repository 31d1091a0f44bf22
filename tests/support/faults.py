"""What goes wrong in a training, at a chosen moment. For ``forked.start`` and ``forked.run_main``."""

import os
import resource
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.support.forked import run_main


def _changes(folder: str, event: str, args: tuple) -> bool:
    """Whether an audit event is about to change a file of the run, curves aside."""
    if event == "open":
        path, mode, flags = args
        if not (flags & (os.O_CREAT | os.O_WRONLY | os.O_RDWR) or (mode and mode[0] in "wa")):
            return False
    elif event == "os.rename":
        path = args[1]
    else:
        return False
    return str(path).startswith(folder) and "tensorboard" not in str(path)


@dataclass(frozen=True)
class KillAtChange:
    """SIGKILL just before change ``number`` of the files of ``folder``, counted from 0."""

    folder: Path
    number: int

    def __call__(self) -> None:
        left = self.number

        def hook(event: str, args: tuple) -> None:
            nonlocal left
            if _changes(str(self.folder), event, args):
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                left -= 1

        sys.addaudithook(hook)


@dataclass(frozen=True)
class TerminateAtCheckpoint:
    """SIGTERM to this process as the first whole ``last.pt`` of ``folder`` comes."""

    folder: Path

    def __call__(self) -> None:
        def hook(event: str, args: tuple) -> None:
            if event == "os.rename" and str(args[1]) == str(self.folder / "last.pt"):
                os.kill(os.getpid(), signal.SIGTERM)

        sys.addaudithook(hook)


def run_main_and_terminate(arguments, prepare=None) -> None:
    """``forked.run_main``, and a SIGTERM when the script has come to its end."""
    try:
        run_main(arguments, prepare)
    finally:
        os.kill(os.getpid(), signal.SIGTERM)


@dataclass(frozen=True)
class ListChanges:
    """Write the changes of the files of ``folder`` to ``record``, a line a change."""

    folder: Path
    record: Path

    def __call__(self) -> None:
        handle = os.open(self.record, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

        def hook(event: str, args: tuple) -> None:
            if _changes(str(self.folder), event, args):
                os.write(handle, f"{event} {Path(args[event == 'os.rename']).name}\n".encode())

        sys.addaudithook(hook)


@dataclass(frozen=True)
class DiskFull:
    """From the first whole ``last.pt`` of ``folder`` on, no file may grow beyond ``limit`` bytes."""

    folder: Path
    limit: int

    def __call__(self) -> None:
        def hook(event: str, args: tuple) -> None:
            if event == "os.rename" and str(args[1]) == str(self.folder / "last.pt"):
                resource.setrlimit(resource.RLIMIT_FSIZE, (self.limit, resource.RLIM_INFINITY))

        sys.addaudithook(hook)
