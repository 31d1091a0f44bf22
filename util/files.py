"""Files that are whole or not there, and files of lines that are whole or not there."""

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

_BLOCK = 64 * 1024  # bytes that are read at once
_BINARY = getattr(os, "O_BINARY", 0)  # Windows would write two bytes for the end of a line


class WriteError(ValueError):
    """A file could not be written: no space, no permission, or no such place."""


@contextmanager
def open_atomic(file: str | Path) -> Iterator[BinaryIO]:
    """A stream into a temporary file beside ``file``, which takes its name when all is on the disk.

    Makes the folder. Whatever happens, be it a power cut, ``file`` is the old one or the new one. Raises
    WriteError when ``file`` is a folder, its folder cannot be made, or the disk is full.
    """
    file = Path(file)
    if file.is_dir():
        raise WriteError(f"{file} is a folder, expected the name of a file to write. Add a file name.")
    _make_folder(file.parent, file.name)
    try:
        handle, temporary = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
        try:
            with os.fdopen(handle, "wb") as stream:
                yield stream
                stream.flush()
                os.fsync(stream.fileno())
            os.chmod(temporary, 0o666 & ~_umask())
            os.replace(temporary, file)
        except BaseException:
            os.unlink(temporary)
            raise
    except OSError as error:
        raise cannot_write(file, error) from error


def write_atomic(file: str | Path, content: bytes | memoryview | str) -> None:
    """Write ``file`` as a whole, see ``open_atomic``; text as UTF-8."""
    with open_atomic(file) as stream:
        stream.write(content.encode() if isinstance(content, str) else content)


class GrowingFile:
    """A file of lines that grows while its writer may be killed at any moment; one writer at a time.

    A last line that was cut short was never written: the next one takes its place.
    """

    def __init__(self, file: Path, mode: int = 0o666) -> None:
        self.file = file
        self.size = _whole_size(file)  # bytes up to the end of the last whole line
        self._mode = mode

    def append(self, lines: bytes) -> None:
        """Write whole lines; when this returns they are on the disk. After a WriteError all is as before."""
        is_new = not self.file.exists()
        try:
            handle = os.open(self.file, os.O_WRONLY | os.O_CREAT | _BINARY, self._mode)
            try:
                self._write(handle, lines)
            finally:
                os.close(handle)
            if is_new:
                _sync_folder(self.file.parent)
        except OSError as error:
            raise cannot_write(self.file, error) from error
        self.size += len(lines)

    def _write(self, handle: int, lines: bytes) -> None:
        os.ftruncate(handle, self.size)
        try:
            os.lseek(handle, self.size, os.SEEK_SET)
            rest = memoryview(lines)
            while rest:
                rest = rest[os.write(handle, rest) :]
            os.fsync(handle)
        except OSError:
            os.ftruncate(handle, self.size)
            raise


def remove_leftovers(file: str | Path) -> None:
    """Delete what writes of ``file`` left beside it when they were killed. None may be under way."""
    file = Path(file)
    for leftover in file.parent.glob(f".{file.name}.????????"):  # the names that mkstemp gives
        leftover.unlink()


def sha256(file: Path) -> str:
    """The fingerprint of a file's content."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def printable(file: str | Path) -> str:
    """The name of ``file`` as text that can be written anywhere: bytes that are no UTF-8 become ``\\xNN``."""
    return os.fsencode(file).decode("utf-8", "backslashreplace")


def cannot_write(file: str | Path, error: OSError) -> WriteError:
    """``error`` as one that names the file and what to do."""
    reason = error.strerror or error
    return WriteError(f"{file}: cannot be written ({reason}). Make room for it, or give another place.")


def _whole_size(file: Path) -> int:
    """Bytes up to the end of the last whole line, 0 without a file; reads from the end only."""
    try:
        end = file.stat().st_size
    except FileNotFoundError:
        return 0
    with file.open("rb") as stream:
        while end > 0:
            start = max(0, end - _BLOCK)
            stream.seek(start)
            found = stream.read(end - start).rfind(b"\n")
            if found >= 0:
                return start + found + 1
            end = start
    return 0


def _sync_folder(folder: Path) -> None:
    """Put the name of a new file on the disk. Windows opens no folders, and its file system sees to names."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _make_folder(folder: Path, name: str) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise WriteError(f"{folder} is not a folder, so {name} has no place. Give another path.") from error
    except OSError as error:
        raise cannot_write(folder, error) from error


def _umask() -> int:
    """The process's umask; it can only be read by setting it."""
    mask = os.umask(0o022)
    os.umask(mask)
    return mask
