"""MetaImages whose header our own reader does not know, as SimpleITK reads them."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from datasets.files.quiet import quiet

if TYPE_CHECKING:
    import SimpleITK


def itk_information(file: Path, companions: Sequence[Path]) -> tuple[tuple[int, ...], int, np.dtype]:
    """Size (width, height[, slices]), channels and number type. ``companions``: the pixels' files."""
    import SimpleITK as sitk

    with _named(file, companions) as name:
        reader = _reader(name)
        try:
            with quiet():
                reader.ReadImageInformation()
        except RuntimeError as error:
            raise _not_read(file, error) from error
    channels = reader.GetNumberOfComponents()
    blank = sitk.Image([1, 1], reader.GetPixelID(), channels)
    return reader.GetSize(), channels, sitk.GetArrayViewFromImage(blank).dtype


def itk_slices(file: Path, companions: Sequence[Path], *, one_by_one: bool) -> Iterator[np.ndarray]:
    """Every slice in order, (H, W) or (H, W, C); from memory that holds them all unless ``one_by_one``."""
    with _named(file, companions) as name:
        reader = _reader(name)
        try:
            with quiet():
                reader.ReadImageInformation()
            size = reader.GetSize()
            if not one_by_one or len(size) == 2:
                whole = _executed(reader)
                yield from whole if len(size) == 3 else whole[None]
                return
            for index in range(size[2]):
                reader.SetExtractIndex([0, 0, index])
                reader.SetExtractSize([size[0], size[1], 0])
                yield _executed(reader)
        except RuntimeError as error:
            raise _not_read(file, error) from error


def _reader(name: str) -> "SimpleITK.ImageFileReader":
    import SimpleITK as sitk

    sitk.ProcessObject.SetGlobalWarningDisplay(False)  # it would write them to the console
    reader = sitk.ImageFileReader()
    reader.SetImageIO("MetaImageIO")
    reader.SetFileName(name)
    return reader


def _executed(reader: "SimpleITK.ImageFileReader") -> np.ndarray:
    import SimpleITK as sitk

    with quiet():
        return sitk.GetArrayFromImage(reader.Execute())


@contextmanager
def _named(file: Path, companions: Sequence[Path]) -> Iterator[str]:
    """A name of ``file`` that the library, which wants UTF-8, can open."""
    try:
        str(file.absolute()).encode()
    except UnicodeEncodeError:
        with tempfile.TemporaryDirectory() as folder:
            for companion in companions:
                if companion.is_file():
                    Path(folder, companion.name).symlink_to(companion.absolute())
            link = Path(folder, "header-of-the-stack.mhd")
            link.symlink_to(file.absolute())
            yield str(link)
    else:
        yield str(file)


def _not_read(file: Path, error: RuntimeError) -> ValueError:
    reason = " ".join(str(error).rpartition("ITK ERROR: ")[2].split())[:200]
    return ValueError(f"{file}: SimpleITK cannot read it, is it whole? ({reason})")
