"""Files that are whole or not there."""

import os
import tempfile
from pathlib import Path


def write_atomic(file: str | Path, content: bytes | str) -> None:
    """Write ``file`` under a temporary name beside it, then rename; text as UTF-8. Makes the folder.

    Raises ValueError when ``file`` is a folder, or when its folder cannot be made.
    """
    file = Path(file)
    if file.is_dir():
        raise ValueError(f"{file} is a folder, expected the name of a file to write. Add a file name.")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise ValueError(
            f"{file.parent} is not a folder, so {file.name} has no place. Give another path."
        ) from error
    handle, temporary = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content.encode() if isinstance(content, str) else content)
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, file)
    except BaseException:
        os.unlink(temporary)
        raise


def _umask() -> int:
    """The process's umask; it can only be read by setting it."""
    mask = os.umask(0o022)
    os.umask(mask)
    return mask
