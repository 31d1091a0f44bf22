"""Phantoms in the challenge's form: what the challenge's own readers make of them."""

import json
from pathlib import Path

import numpy as np
import pytest

from datasets.files.mha_files import open_stack
from datasets.landmarks import cl_detection2023 as cl
from datasets.phantoms.phantom import Phantom
from datasets.phantoms.stack import ANNOTATIONS, STACK, write_phantom_stack

HEIGHT, SLICES = 120, 3


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stack") / "made"
    write_phantom_stack(folder, SLICES, height=HEIGHT, seed=7)
    return folder


def test_readers_find_the_films_and_landmarks_of_the_phantoms(folder: Path) -> None:
    stack, annotations = open_stack(folder / STACK), cl.read_annotations(folder / ANNOTATIONS)
    cl.check_match(stack, annotations)
    assert (stack.num_slices, stack.channels, stack.dtype) == (SLICES, 3, np.uint8)
    assert (stack.width, stack.height) == (144, HEIGHT)
    for index, case in enumerate(cl.read_cases(stack, annotations)):
        film = Phantom(HEIGHT if index % 2 == 0 else 96, 7, missing=0.0).case(index)
        np.testing.assert_array_equal(case.image, film.image)
        assert np.abs(case.points - film.points).max() <= 0.5  # whole pixels, as the organisers write
        np.testing.assert_allclose(case.spacing, film.spacing, rtol=1e-5)


def test_annotations_have_the_organisers_types(folder: Path) -> None:
    points = json.loads((folder / ANNOTATIONS).read_text())["points"]
    assert len(points) == SLICES * 38
    for entry in points:
        assert type(entry["name"]) is int and type(entry["scale"]) is str
        assert [type(value) for value in entry["point"]] == [int, int, int]


def test_two_sizes_of_pixels(folder: Path) -> None:
    """Every other film is smaller: padding below it too, and coarser pixels."""
    slices = list(open_stack(folder / STACK).slices())
    assert slices[0][96:].any() and not slices[1][96:].any()
    assert not slices[0][:, -20:].any()


def test_the_seed_says_it_all(folder: Path, tmp_path: Path) -> None:
    write_phantom_stack(tmp_path / "again", SLICES, height=HEIGHT, seed=7)
    write_phantom_stack(tmp_path / "other", SLICES, height=HEIGHT, seed=8)
    for name in (STACK, ANNOTATIONS):
        assert (tmp_path / "again" / name).read_bytes() == (folder / name).read_bytes()
        assert (tmp_path / "other" / name).read_bytes() != (folder / name).read_bytes()
    assert {file.name for file in (tmp_path / "again").iterdir()} == {STACK, ANNOTATIONS}


def test_refuses_an_empty_stack_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="0 slices, expected at least 1"):
        write_phantom_stack(tmp_path / "none", 0)
    assert not (tmp_path / "none").exists()
