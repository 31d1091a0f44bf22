"""Finding the X-rays among what folders hold: by content, and with a count of what was left out."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from datasets.files.dicom_files import dicom_without_pixels
from datasets.files.kinds import READ_HERE, Kind, kind_by_suffix, kind_of
from datasets.files.mha_files import data_files


@dataclass
class Search:
    """Image files, and how many others lay beside them, by kind."""

    files: list[Path] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)


def find_images(paths: Iterable[str | Path]) -> Search:
    """Files as given, and for every folder the image files in and below it, sorted.

    Links to folders are counted and not followed, since they may lead in a circle; one to an image that is
    gone is for the reader.

    Given files are not looked into: ``read_images`` says what is wrong with one. A file whose name says that
    it is an image counts as one. Raises ValueError for a folder without an image.
    """
    search = Search()
    for path in map(Path, paths):
        if path.is_dir():
            _search_folder(path, search)
        else:
            search.files.append(path)
    return search


def summary(left_out: Mapping[str, int]) -> str:
    """``7 files left out: 5 .nii, 2 .txt``, the most frequent first."""
    total = sum(left_out.values())
    kinds = sorted(left_out.items(), key=lambda item: (-item[1], item[0]))
    files = "file" if total == 1 else "files"
    return f"{total} {files} left out: " + ", ".join(f"{count} {kind}" for kind, count in kinds)


def _search_folder(folder: Path, search: Search) -> None:
    entries = sorted(folder.rglob("*"))
    inside = [entry for entry in entries if entry.is_file() or _is_lost_image(entry)]
    reasons = {file: _no_image_because(file, folder) for file in inside}
    images = [file for file, reason in reasons.items() if reason is None]
    companions = {data for file in images for data in _companions(file)}
    left_out = Counter(
        reason for file, reason in reasons.items() if reason is not None and file not in companions
    )
    if linked := sum(entry.is_symlink() and entry.is_dir() for entry in entries):
        left_out["linked folder"] = linked
    if not images:
        others = summary(left_out) if left_out else "it is empty"
        raise ValueError(f"{folder}: no image in this folder ({others}), expected {READ_HERE}.")
    search.files += images
    search.left_out += left_out


def _is_lost_image(entry: Path) -> bool:
    """Whether a name says that it is an image, and what it links to is gone."""
    return entry.is_symlink() and not entry.exists() and kind_by_suffix(entry) is not Kind.OTHER


def _no_image_because(file: Path, folder: Path) -> str | None:
    """What ``file`` is instead of an image, or None; a file that cannot be looked into is for the reader."""
    if any(part.startswith(".") for part in file.relative_to(folder).parts):
        return "hidden"
    try:
        kind = kind_of(file)
        if kind is Kind.DICOM:
            return dicom_without_pixels(file)
    except OSError:
        return None
    if kind is Kind.OTHER and kind_by_suffix(file) is Kind.OTHER:
        return _suffix(file)
    return None


def _suffix(file: Path) -> str:
    """The kind of a file by its name; of ``x.nii.gz`` that is ``.nii.gz``."""
    parts = [part.lower() for part in file.suffixes]
    compressed = len(parts) > 1 and parts[-1] in (".gz", ".bz2", ".xz", ".zip")
    return "".join(parts[-2:]) if compressed else (parts[-1] if parts else "without suffix")


def _companions(file: Path) -> list[Path]:
    """The files that belong to ``file``: the pixels of a MetaImage header."""
    try:
        return data_files(file) if file.suffix.lower() == ".mhd" else []
    except (ValueError, OSError):
        return []
