"""The ISBI 2015 cephalometric challenge as published: 400 images, 19 landmarks, two doctors.

Wang et al., A benchmark for comparison of dental radiography analysis algorithms, Medical Image
Analysis 2016. ``RawImage/{TrainingData,Test1Data,Test2Data}/NNN.bmp`` (or .jpg, .png) and
``AnnotationsByMD/{400_senior,400_junior}/NNN.txt``: a line ``x,y`` each, in pixels counted from 0.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from datasets.files.image_files import read_grey
from datasets.landmarks.landmark_set import load_landmark_set
from datasets.prepared.case import INDEX_TO_CONTINUOUS, PreparedCase, check_points
from datasets.prepared.splits import split_by_image

SPACING_MM = 0.1  # per pixel, both axes, stated by the organisers for all images
IMAGE_SETS = {"TrainingData": range(1, 151), "Test1Data": range(151, 301), "Test2Data": range(301, 401)}
DOCTORS = {"mean": ("senior", "junior"), "senior": ("senior",), "junior": ("junior",)}
LANDMARKS = load_landmark_set("isbi19")
_SUFFIXES = (".bmp", ".jpg", ".jpeg", ".png")


def find_image_sets(source: Path) -> dict[str, dict[str, Path]]:
    """The images of every published set that is there: set -> case name (``001``) -> file.

    Raises ValueError when none is there, when a name is not a number of its set or comes twice.
    """
    found = {name: _images_of(source / "RawImage" / name, numbers) for name, numbers in IMAGE_SETS.items()}
    found = {name: images for name, images in found.items() if images}
    if not found:
        expected = ", ".join(f"RawImage/{name}/NNN.bmp|jpg|png" for name in IMAGE_SETS)
        raise ValueError(
            f"{source}: no ISBI 2015 image here, expected {expected}. Give the folder above RawImage."
        )
    return found


def _images_of(folder: Path, numbers: range) -> dict[str, Path]:
    images: dict[str, Path] = {}
    for file in sorted(folder.glob("*")):
        if file.suffix.lower() not in _SUFFIXES:
            continue  # the published archives carry notes and thumbnails beside the images
        if not file.stem.isdecimal() or int(file.stem) not in numbers:
            raise ValueError(
                f"{file}: expected a name from {numbers[0]:03d} to {numbers[-1]:03d}. Move it elsewhere."
            )
        case = f"{int(file.stem):03d}"
        if case in images:
            raise ValueError(f"{file}: case {case} is also {images[case].name}. Keep one of the two.")
        images[case] = file
    return images


def assign_splits(
    sets: Mapping[str, Mapping[str, Path]], num_val: int, seed: int
) -> dict[str, tuple[str, ...]]:
    """Prepared split -> case names: train and val from TrainingData, test = Test1Data, test2 = Test2Data."""
    split: dict[str, tuple[str, ...]] = {}
    training = sorted(sets.get("TrainingData", ()))
    if training and not 0 <= num_val < len(training):
        raise ValueError(
            f"--val {num_val}: expected 0 to {len(training) - 1}, there are {len(training)} training images."
        )
    if training:
        sizes = {"train": len(training) - num_val, "val": num_val}
        split |= split_by_image(training, {name: size for name, size in sizes.items() if size}, seed)
    published = {"test": "Test1Data", "test2": "Test2Data"}
    return split | {name: tuple(sorted(sets[folder])) for name, folder in published.items() if folder in sets}


def annotation_files(source: Path, case: str, labels: str) -> list[Path]:
    """The annotation file of every doctor whose labels go into ``labels`` (mean, senior or junior)."""
    return [source / "AnnotationsByMD" / f"400_{doctor}" / f"{case}.txt" for doctor in DOCTORS[labels]]


def read_annotation(file: Path) -> np.ndarray:
    """(19, 2) continuous pixels from one doctor's file; what follows line 19 (codes) is ignored."""
    if not file.is_file():
        raise ValueError(f"{file}: missing. Complete AnnotationsByMD, or choose the other doctor's --labels.")
    lines = file.read_text(encoding="utf-8-sig", errors="replace").splitlines()[: len(LANDMARKS)]
    if len(lines) < len(LANDMARKS):
        raise ValueError(f"{file}: {len(lines)} lines, expected at least {len(LANDMARKS)} of the form x,y.")
    return np.array([_read_point(line, f"{file}, line {n}") for n, line in enumerate(lines, start=1)])


def _read_point(line: str, where: str) -> list[float]:
    try:
        x, y = (float(text) for text in line.split(","))
    except ValueError as error:
        raise ValueError(
            f"{where}: {line!r}, expected two numbers x,y. Restore the published file."
        ) from error
    if not np.isfinite([x, y]).all():
        raise ValueError(f"{where}: {line!r}, expected finite numbers. Restore the published file.")
    return [x + INDEX_TO_CONTINUOUS, y + INDEX_TO_CONTINUOUS]


def read_cases(
    source: Path, images: Mapping[str, Path], cases: Sequence[str], labels: str
) -> Iterator[PreparedCase]:
    """The named cases in turn, at full size; labels of several doctors are averaged."""
    for case in cases:
        image = read_grey(images[case])
        size = image.shape[1], image.shape[0]
        doctors = []
        for file in annotation_files(source, case, labels):
            points = read_annotation(file)
            check_points(points, size, LANDMARKS, str(file))
            doctors.append(points)
        yield PreparedCase(
            name=case,
            image=image,
            points=np.mean(doctors, axis=0),
            spacing=np.full(2, SPACING_MM),
            source_file=images[case].relative_to(source).as_posix(),
            source_size=size,
        )
