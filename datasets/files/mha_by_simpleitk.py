"""MetaImages whose header our own reader does not know, as SimpleITK reads them: made plain by it.

In a process of its own, since the library takes sizes and counts on trust and does not survive all of them.
"""

import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

_CODE = """
import sys
import SimpleITK as sitk
reader = sitk.ImageFileReader()
reader.SetImageIO("MetaImageIO")
reader.SetFileName(sys.argv[1])
try:
    sitk.WriteImage(reader.Execute(), sys.argv[2], useCompression=False)
except RuntimeError as error:
    sys.exit(str(error).rpartition("ITK ERROR: ")[2])
"""


def made_plain(file: Path, companions: Sequence[Path], folder: Path) -> Path:
    """A MetaImage in ``folder`` with the same image, uncompressed and in one file.

    ``companions``: the files that hold the pixels. Raises ValueError where the library cannot read ``file``.
    """
    plain = folder / "plain.mha"
    command = [sys.executable, "-c", _CODE, _name_in_utf8(file, companions, folder), str(plain)]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode < 0:
        reason = f"it ended with {signal.Signals(-done.returncode).name}"
    else:
        reason = " ".join(done.stderr.split())[-200:]
    if done.returncode != 0 or not plain.is_file():
        raise ValueError(f"{file}: SimpleITK cannot read it, is it whole? ({reason})")
    return plain


def require_whole(file: Path, parts: Sequence[Path], expected: int) -> None:
    """Raise ValueError unless ``parts`` hold ``expected`` bytes: the library gives what memory holds."""
    absent = [part.name for part in parts if not part.is_file()]
    there = sum(part.stat().st_size for part in parts if part.is_file())
    if absent or there < expected:
        raise ValueError(
            f"{file}: its files hold {there} bytes, expected {expected}; missing: {absent[:3]}. Put them "
            "beside the header."
        )


def _name_in_utf8(file: Path, companions: Sequence[Path], folder: Path) -> str:
    """A name of ``file`` that the library can open; links to it and its companions where its own is none."""
    try:
        str(file.absolute()).encode()
    except UnicodeEncodeError:
        for companion in companions:
            if companion.is_file():
                Path(folder, companion.name).symlink_to(companion.absolute())
        link = folder / "header-of-the-stack.mhd"
        link.symlink_to(file.absolute())
        return str(link)
    return str(file)
