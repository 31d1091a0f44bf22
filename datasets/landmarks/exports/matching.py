"""Names, images and splits of an annotation tool's export, matched with a landmark set and a folder."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path

import numpy as np

from datasets.files.image_files import read_images
from datasets.files.kinds import stem_of
from datasets.landmarks.exports.annotated import Annotated
from datasets.landmarks.exports.readers import TO_CONTINUOUS
from datasets.landmarks.landmark_set import LandmarkSet
from datasets.prepared.case import PreparedCase
from datasets.prepared.splits import split_by_image
from util.files import printable
from util.words import first_few


@dataclass
class Matched:
    """Which image has which annotation, and all that has no counterpart."""

    pairs: dict[Path, Annotated] = field(default_factory=dict)
    without_image: list[str] = field(default_factory=list)
    by_name_alone: dict[str, int] = field(default_factory=dict)  # "A for B", folders, with their images
    without_annotation: list[Path] = field(default_factory=list)
    unknown_names: dict[str, int] = field(default_factory=dict)  # with the images that have them
    missing_names: dict[str, int] = field(default_factory=dict)  # with the images that lack them
    other_shapes: dict[str, int] = field(default_factory=dict)  # "NAME as circle", with the images

    def report(self) -> Iterator[str]:
        """A line for each kind of thing that has no counterpart."""
        total = len(self.pairs)
        if self.unknown_names:
            yield f"names that the set has not, left out: {_counted(self.unknown_names, total)}"
        if self.other_shapes:
            yield f"landmarks that are drawn, but not as a point, left out: {self.told_shapes()}"
        if self.missing_names:
            yield f"landmarks that are missing: {_counted(self.missing_names, total)}"
        if self.without_image:
            yield f"{len(self.without_image)} annotated images are not there: {first_few(self.without_image)}"
        if self.by_name_alone:
            yield f"told by name alone, the export's folder for yours: {_counted(self.by_name_alone, total)}"
        if self.without_annotation:
            names = [printable(file.name) for file in self.without_annotation]
            yield f"{len(names)} images have no annotation, left out: {first_few(names)}"

    def told_shapes(self) -> str:
        return ", ".join(f"{shape} ({count} images)" for shape, count in self.other_shapes.items())


def match(
    entries: Sequence[Annotated], files: Sequence[Path], landmark_set: LandmarkSet, *, folder: Path
) -> Matched:
    """Pair annotations with image files, by name or else by name without suffix; the points with the set.

    folder: in which ``files`` were found. A folder in the tool's path must agree with where the file lies.
    Names of landmarks may differ in case, spaces, dashes and underscores, or be abbreviations of the set.
    Raises ValueError where an image is annotated twice, two images share a name, or nothing matches.
    """
    own_name = _own_names(landmark_set)
    by_name, by_stem = _index(files, lambda file: file.name), _index(files, stem_of)
    matched = Matched()
    for entry in entries:
        _note_other_shapes(entry, own_name, matched)
        if not entry.points:  # tools also list images that nobody has marked, or that another job has
            continue
        of_name = by_name.get(entry.image_name) or by_stem.get(entry.image_name)
        file = _file_of(entry, of_name or by_stem.get(stem_of(entry.image_name)) or [], folder, matched)
        if file is None:
            continue
        if file in matched.pairs:
            raise ValueError(
                f"{entry.where}: {printable(file)} is annotated here and in "
                f"{matched.pairs[file].where}, expected once. Remove one of the two."
            )
        matched.pairs[file] = _by_set_names(entry, own_name, matched)
    matched.without_annotation = [file for file in files if file not in matched.pairs]
    _count_missing(matched, landmark_set)
    return matched


def _file_of(entry: Annotated, of_name: Sequence[Path], folder: Path, matched: Matched) -> Path | None:
    """The one of the files ``of_name`` that ``entry`` means; None, and noted, where it is not among them.

    Where folders cannot be compared, a name that only one file has is enough: the tool ran on another disk,
    or put a folder of its own before the name.
    """
    there = _where_folders_agree(entry, of_name, folder)
    if len(there) > 1:
        raise ValueError(
            f"{entry.where}: {[printable(file) for file in there]} share this name, expected one "
            "image. Rename one."
        )
    if there:
        return there[0]
    names = [printable(file.relative_to(folder)) for file in of_name]
    if len(of_name) == 1 and (entry.is_absolute or of_name[0].parent == folder):
        found_in = Path(folder.name) / of_name[0].parent.relative_to(folder)
        folders = printable(f"{'/'.join(entry.folders)} for {found_in.as_posix()}")
        matched.by_name_alone[folders] = matched.by_name_alone.get(folders, 0) + 1
        return of_name[0]
    but = f" (of this name: {first_few(names)})" if names else ""
    matched.without_image.append(printable(entry.image) + but)
    return None


def _where_folders_agree(entry: Annotated, files: Sequence[Path], folder: Path) -> list[Path]:
    """Those of ``files`` with the most folders in common with ``entry``, counted from the innermost.

    Folders agree where all that the tool names are the file's, or all from ``folder`` to the file are the
    tool's, and one at least. A path without folders agrees with any.
    """
    if not entry.folders:
        return list(files)
    common = {file: _common_end(entry.folders, file.absolute().parent.parts) for file in files}
    depth = {file: len(file.relative_to(folder).parts) - 1 for file in files}
    agree = [file for file in files if common[file] >= max(min(len(entry.folders), depth[file]), 1)]
    return [file for file in agree if common[file] == max(common[other] for other in agree)]


def _common_end(one: Sequence[str], other: Sequence[str]) -> int:
    """How many items two sequences have in common, from their ends."""
    pairs = zip(reversed(one), reversed(other), strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def prepared_case(
    file: Path,
    entry: Annotated,
    landmark_set: LandmarkSet,
    name: str,
    *,
    tool: str,
    convention: str,
    spacing: Sequence[float] | None,
) -> PreparedCase:
    """The image with its points, at full size. Raises ValueError where the tool saw another size."""
    images = list(read_images(file, spacing))
    if len(images) != 1:
        raise ValueError(f"{printable(file)}: {len(images)} images, expected one.")
    image = images[0].image
    size = image.shape[1], image.shape[0]
    if entry.size is not None and entry.size != size:
        turned = (
            " The tool did not turn the picture as its orientation tag says."
            if entry.size == size[::-1]
            else ""
        )
        raise ValueError(
            f"{entry.where}: annotated at {entry.size[0]}x{entry.size[1]}, but {printable(file)} has "
            f"{size[0]}x{size[1]} pixels.{turned} Annotate the picture at its own size."
        )
    points = np.array([entry.points.get(name, (np.nan, np.nan)) for name in landmark_set.landmarks])
    if tool == "slicer":
        points = points / slicer_spacing(file)
    return PreparedCase(
        name=name,
        image=image,
        points=points + TO_CONTINUOUS[convention],
        spacing=images[0].spacing,
        source_file=printable(file.name),
        source_size=size,
    )


def slicer_spacing(file: Path) -> np.ndarray:
    """(2,) mm per pixel as 3D Slicer has them: the file's own, whatever is given beside it; 1 for none.

    Raises ValueError naming the file when it cannot be read.
    """
    return np.nan_to_num(next(read_images(file)).spacing, nan=1.0)


def split_files(
    files: Sequence[Path], shares: Mapping[str, float], seed: int, group_by: str | None
) -> dict[str, list[Path]]:
    """Deal ``files`` into train and the splits of ``shares``, all files of a group into one.

    ``group_by``: a regular expression whose first group (or whole match) in a file's path names the patient;
    None: each image for itself. Raises ValueError where it does not match or a split would be empty.
    """
    groups = _index(files, lambda file: _group(file, group_by))
    sizes = {name: max(round(share * len(groups)), 1) for name, share in shares.items() if share > 0}
    sizes = {"train": len(groups) - sum(sizes.values()), **sizes}
    if sizes["train"] < 1:
        raise ValueError(f"{len(groups)} images or groups, too few for the splits {sizes}. Ask for less.")
    dealt = split_by_image(groups, sizes, seed)
    return {name: [file for key in keys for file in groups[key]] for name, keys in dealt.items()}


def numbered_persons(files: Sequence[Path], group_by: str) -> dict[Path, str]:
    """Whose image each file is, as ``split_files`` groups them: numbered, since ids may identify people."""
    groups = _index(files, lambda file: _group(file, group_by))
    return {file: f"p{number}" for number, key in enumerate(groups, start=1) for file in groups[key]}


def _group(file: Path, expression: str | None) -> str:
    if expression is None:
        return str(file)
    try:
        found = re.search(expression, printable(file))
    except re.error as error:
        raise ValueError(f"--group-by {expression!r}: no regular expression ({error}).") from error
    if found is None:
        raise ValueError(
            f"--group-by {expression!r}: no match in {printable(file)}. It must name every patient."
        )
    return found[1] if found.re.groups and found[1] is not None else found[0]


def _own_names(landmark_set: LandmarkSet) -> Callable[[str], str | None]:
    """Finds the set's name for a spelling, None for none: as the set has it, else plain where that tells.

    Names come before abbreviations, and these before numbers (from 1).
    """
    numbers = [str(number) for number in range(1, len(landmark_set) + 1)]
    exact: dict[str, str] = {}
    plain: dict[str, str] = {}
    for spellings in (numbers, landmark_set.abbreviations, landmark_set.landmarks):
        exact |= zip(spellings, landmark_set.landmarks, strict=True)
        texts = [_plain(spelling) for spelling in spellings]
        pairs = zip(texts, landmark_set.landmarks, strict=True)
        plain |= {text: name for text, name in pairs if texts.count(text) == 1}
    return lambda spelling: exact.get(spelling) or plain.get(_plain(spelling))


def _plain(name: str) -> str:
    return re.sub(r"[\s_-]+", " ", name).strip().lower()


def _by_set_names(entry: Annotated, own_name: Callable[[str], str | None], matched: Matched) -> Annotated:
    named = Annotated(entry.image, entry.where, size=entry.size)
    for name, (x, y) in entry.points.items():
        own = own_name(name)
        if own is None:
            matched.unknown_names[name] = matched.unknown_names.get(name, 0) + 1
        else:
            named.add(own, x, y)
    return named


def _note_other_shapes(entry: Annotated, own_name: Callable[[str], str | None], matched: Matched) -> None:
    points = {own_name(name) for name in entry.points}
    for name, kind in entry.other_shapes.items():
        own = own_name(name)
        if own is not None and own not in points:
            shape = f"{own} as {kind}"
            matched.other_shapes[shape] = matched.other_shapes.get(shape, 0) + 1


def _count_missing(matched: Matched, landmark_set: LandmarkSet) -> None:
    for name in landmark_set.landmarks:
        lacking = sum(name not in entry.points for entry in matched.pairs.values())
        if lacking:
            matched.missing_names[name] = lacking
    if not any(entry.points for entry in matched.pairs.values()):
        raise ValueError(
            f"no landmark of {landmark_set.name!r} in any annotation. Names there: "
            f"{first_few(matched.unknown_names)}; in the set: {first_few(landmark_set.landmarks)}; "
            f"drawn, but not as a point: {matched.told_shapes()}; "
            f"annotated images that are not there: {first_few(matched.without_image)}."
        )


def _index(files: Sequence[Path], key) -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = {}
    for file in files:
        found.setdefault(key(file), []).append(file)
    return found


def _counted(names: Mapping[str, int], total: int) -> str:
    return ", ".join(f"{name} ({count} of {total})" for name, count in names.items())
