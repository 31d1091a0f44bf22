"""A file of JSON lines that grows while its writer may be killed at any moment."""

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from filelock import FileLock, Timeout

from util.files import GrowingFile, cannot_write


class PartFile:
    """Open for appending by one process at a time; the lines of earlier ones stay.

    A last line that was cut short is written over. Raises ValueError while another process has the file
    open, and WriteError when the disk is full.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self._lock = FileLock(file.with_suffix(".lock"), timeout=0)
        try:
            self._lock.acquire()
        except Timeout as error:
            raise ValueError(f"{file}: another process is at work on it. Wait for it, or stop it.") from error
        except OSError as error:
            raise cannot_write(file, error) from error
        self._lines = GrowingFile(file)
        self.num_lines = num_whole_lines(file) if file.is_file() else 0

    def __enter__(self) -> "PartFile":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lock.release()

    def append(self, record: Mapping[str, Any]) -> None:
        """Write a line; when this returns it is on the disk."""
        self._lines.append(json.dumps(record, allow_nan=False).encode() + b"\n")
        self.num_lines += 1


def num_whole_lines(file: Path) -> int:
    """Without a last line that was cut short."""
    with file.open("rb") as lines:
        return sum(line.endswith(b"\n") for line in lines)


def read_lines(file: Path) -> Iterator[dict[str, Any]]:
    """The whole lines of a part file, one in memory at a time. Raises ValueError for a damaged one."""
    try:
        with file.open("rb") as stream:
            for number, line in enumerate(stream, start=1):
                if line.endswith(b"\n"):
                    yield _parse(file, number, line)
    except OSError as error:
        raise ValueError(
            f"{file}: cannot be read ({error.strerror or error}). Start its shard again."
        ) from error


def ends_with(file: Path, record: Mapping[str, Any]) -> bool:
    """Whether ``record`` is the last line; reads no more than that."""
    last = json.dumps(record).encode() + b"\n"
    if not file.is_file() or file.stat().st_size < len(last):
        return False
    with file.open("rb") as stream:
        stream.seek(-len(last), os.SEEK_END)
        return stream.read() == last


def _parse(file: Path, number: int, line: bytes) -> dict[str, Any]:
    try:
        return json.loads(line)
    except ValueError as error:
        raise ValueError(
            f"{file}: line {number} is no JSON ({error}). Delete the file and start its shard again."
        ) from error
