"""A file of JSON lines that grows while its writer may be killed at any moment."""

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from filelock import FileLock, Timeout

from util.files import cannot_write


class PartFile:
    """Open for appending by one process at a time; the lines of earlier ones stay.

    A last line that was cut short is removed at opening. Raises ValueError while another process has the file
    open, and WriteError when the disk is full.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self._lock = FileLock(file.with_suffix(".lock"), timeout=0)
        try:
            self._lock.acquire()
            self._stream = file.open("ab", buffering=0)  # what could not be written is not tried again
        except Timeout as error:
            raise ValueError(f"{file}: another process is at work on it. Wait for it, or stop it.") from error
        except OSError as error:
            raise cannot_write(file, error) from error
        self.num_lines = self._drop_torn_line()

    def __enter__(self) -> "PartFile":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stream.close()
        self._lock.release()

    def append(self, record: Mapping[str, Any]) -> None:
        """Write a line; when this returns it is on the disk."""
        try:
            rest = memoryview(json.dumps(record, allow_nan=False).encode() + b"\n")
            while rest:
                rest = rest[self._stream.write(rest) :]
            os.fsync(self._stream.fileno())
        except OSError as error:
            raise cannot_write(self.file, error) from error
        self.num_lines += 1

    def _drop_torn_line(self) -> int:
        """Number of whole lines, after which the file now ends."""
        count, end = whole_lines(self.file)
        self._stream.truncate(end)
        return count


def whole_lines(file: Path) -> tuple[int, int]:
    """Number of whole lines, and where the last of them ends, in bytes."""
    count = end = 0
    with file.open("rb") as lines:
        for line in lines:
            if line.endswith(b"\n"):
                count, end = count + 1, end + len(line)
    return count, end


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
