"""The prepared layout: what is written comes back, and what is wrong is found before training."""

import csv
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from datasets.landmarks.landmark_set import LandmarkSet
from datasets.prepared.prepared import (
    PreparedCase,
    PreparedDataset,
    mean_shape,
    require_spacing,
    write_prepared,
)
from datasets.prepared.splits import split_by_image
from transforms.augment import EvalTransforms, TrainTransforms
from transforms.sample import PointSample

SET = LandmarkSet("two", ("one", "other"), ("1", "2"))


def case(name: str = "a", points: list | None = None, **changes: object) -> PreparedCase:
    image = np.random.default_rng(7).integers(0, 256, (20, 30), np.uint8)
    pixels = np.array(points or [[0.5, 0.5], [29.5, 19.5]])
    return replace(PreparedCase(name, image, pixels, np.array([0.2, 0.3]), "a.bmp", (60, 40)), **changes)


def write(folder: Path, **splits: list[PreparedCase]) -> Path:
    write_prepared(
        folder, splits, landmark_set=SET, labels="mean", created_by="test", source_files={"a.bmp": "0"}
    )
    return folder


def edit(file: Path, change: Callable[[dict], object]) -> None:
    data = json.loads(file.read_text())
    change(data)
    file.write_text(json.dumps(data))


def test_what_is_written_comes_back(tmp_path):
    original = case(points=[[12.34567, 0.0], [np.nan, np.nan]])
    dataset = PreparedDataset(write(tmp_path / "out", train=[original], val=[case("b")]), "train")
    sample = dataset.load(0)
    assert len(dataset) == 1 and dataset.cases == ("a",) and sample.case == "a"
    assert dataset.landmark_set == SET and dataset.labels == "mean"
    assert np.array_equal(sample.image, original.image)
    assert np.allclose(sample.points, original.points, atol=1e-4, equal_nan=True)
    assert np.array_equal(sample.spacing, original.spacing)
    assert np.array_equal(sample.to_source, np.eye(3))


def test_a_point_of_the_border_is_on_the_border_of_the_shrunk_image():
    image = np.zeros((1162, 1550), np.uint8)  # 1162 * (768 / 1162) is more than 768 in floating point
    small = case(points=[[1550.0, 1162.0], [0.0, 0.0]], image=image).shrunk(1024)
    assert small.points.tolist() == [[1024.0, 768.0], [0.0, 0.0]]
    beyond = case(points=[[1550.0, 1200.0], [np.nan, np.nan]], image=image)
    assert beyond.outside().tolist() == beyond.shrunk(1024).outside().tolist() == [True, False]


def test_files_hold_index_coordinates_and_mark_missing_ones(tmp_path):
    folder = write(tmp_path / "out", train=[case(points=[[0.5, 0.5], [np.nan, np.nan]])])
    data = json.loads((folder / "annotations/train.json").read_text())
    assert data["annotations"][0]["keypoints"] == [0, 0, 2, 0, 0, 0]  # present at the corner pixel; missing
    assert data["annotations"][0]["num_keypoints"] == 1
    assert data["images"][0]["width"] == 30 and data["images"][0]["height"] == 20
    assert data["images"][0]["spacing"] == [0.2, 0.3] and data["categories"][0]["keypoints"] == [
        "one",
        "other",
    ]
    rows = list(csv.DictReader((folder / "annotations/train.csv").open()))
    assert list(rows[0].values()) == ["a.png", "0.25", "0.0", "0.0", "", ""]
    header = json.loads((folder / "dataset.json").read_text())
    assert header["split"] == {"train": ["a"]} and header["source_files"] == {"a.bmp": "0"}


def test_unknown_spacing_is_null_and_comes_back_as_nan(tmp_path):
    folder = write(tmp_path / "out", train=[case(spacing=np.full(2, np.nan))])
    assert json.loads((folder / "annotations/train.json").read_text())["images"][0]["spacing"] is None
    assert np.isnan(PreparedDataset(folder, "train").load(0).spacing).all()


def test_shrinking_keeps_landmarks_on_the_anatomy_and_millimetres():
    y, x = np.mgrid[:240, :195] + 0.5
    point = np.array([81.3, 150.2])
    image = 200 * np.exp(-((x - point[0]) ** 2 + (y - point[1]) ** 2) / (2 * 9.0**2))
    before = case(
        points=[point.tolist()] * 2, image=image.round().astype(np.uint8), spacing=np.array([0.1, 0.1])
    )
    after = before.shrunk(103)
    assert after.image.shape == (103, 84)
    weight = after.image.astype(float)
    y, x = np.mgrid[:103, :84] + 0.5
    centroid = np.array([(weight * x).sum(), (weight * y).sum()]) / weight.sum()
    assert np.abs(centroid - after.points[0]).max() < 0.02
    assert np.allclose(after.points * after.spacing, before.points * before.spacing)
    assert before.shrunk(0) is before and before.shrunk(240) is before  # kept, never enlarged


def test_a_folder_appears_whole_or_not_at_all(tmp_path):
    def cases():
        yield case("a")
        raise RuntimeError("the disk is full")

    with pytest.raises(RuntimeError):
        write(tmp_path / "out", train=cases())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("splits", "message"),
    [
        ({"train": [case("a")], "val": [case("a")]}, "'a': given for 'val' and before for 'train'"),
        ({"train": [case("a")], "val": []}, "'val' has no case"),
        ({"train": [case(points=[[1.0, 1.0], [31.0, 1.0]])]}, r"landmark 2 \(other\) at x=30.5, y=0.5"),
        ({"train": [case(points=[[1.0, 1.0], [np.nan, 1.0]])]}, "landmark 2"),
        ({"train": [case(points=[[1.0, 1.0]])]}, "1 landmarks, expected the 2"),
        ({"train": [case(spacing=np.array([0.1, 0.0]))]}, "spacing"),
        ({"train": [case("../escape")]}, "names may hold"),
    ],
)
def test_unsound_cases_are_refused_and_nothing_stays(tmp_path, splits, message):
    with pytest.raises(ValueError, match=message):
        write(tmp_path / "out", **splits)
    assert list(tmp_path.iterdir()) == []


def test_an_output_folder_in_use_is_refused_and_left_alone(tmp_path):
    folder = write(tmp_path / "out", train=[case("a")])
    with pytest.raises(ValueError, match="already there and not empty"):
        write(folder, train=[case("b")])
    assert PreparedDataset(folder, "train").cases == ("a",)


def keypoints(*values: float) -> Callable[[dict], object]:
    return lambda data: data["annotations"][0].update(keypoints=list(values))


BLOB = [1, 1, 2] * 4
FAULTS = {
    "count": (keypoints(*BLOB), "case 'tiny1'.*4 landmarks, expected the 5"),
    "triples": (keypoints(*BLOB, 1, 1), "14 numbers"),
    "outside": (keypoints(*BLOB, 80, 3, 2), r"landmark 5 \(chin\) at x=80, y=3 .*80x96"),
    "nan": (keypoints(*BLOB, float("nan"), 3, 2), "NaN"),
    "spacing": (lambda data: data["images"][0].update(spacing=[0.1, 0]), "case 'tiny1'.*spacing"),
    "spacing nan": (lambda data: data["images"][0].update(spacing=[float("nan")] * 2), "spacing"),
    "missing image": (lambda data: data["images"][0].update(file_name="gone.png"), "gone.png is missing"),
    "no annotation": (lambda data: data["annotations"].pop(), "missing or of a wrong kind"),
    "empty": (lambda data: data.update(images=[]), "no image"),
    "other cases": (lambda data: data["images"].pop(), "tiny3"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faulty_annotations_are_found_at_construction(tmp_path, tiny_prepared, fault):
    change, message = FAULTS[fault]
    folder = shutil.copytree(tiny_prepared, tmp_path / "copy")
    edit(folder / "annotations/train.json", change)
    with pytest.raises(ValueError, match=message):
        PreparedDataset(folder, "train")


def test_folders_that_are_not_prepared_and_unknown_subsets_are_named(tmp_path, tiny_prepared):
    with pytest.raises(ValueError, match="tools/prepare"):
        PreparedDataset(tmp_path, "train")
    with pytest.raises(ValueError, match=r"no subset 'tset'; those there: \['test', 'train', 'val'\]"):
        PreparedDataset(tiny_prepared, "tset")


@pytest.mark.parametrize("keep", [0, 40, -4])
def test_a_truncated_image_is_named(tmp_path, tiny_prepared, keep):
    folder = shutil.copytree(tiny_prepared, tmp_path / "copy")
    file = folder / "images/tiny5.png"
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(ValueError, match="tiny5.png"):
        PreparedDataset(folder, "test").load(0)


def test_an_image_of_another_size_is_named(tmp_path, tiny_prepared):
    folder = shutil.copytree(tiny_prepared, tmp_path / "copy")
    edit(folder / "annotations/test.json", lambda data: data["images"][0].update(width=81))
    with pytest.raises(ValueError, match="80x96 pixels, annotated as 81x96"):
        PreparedDataset(folder, "test").load(0)


def jitter(sample: PointSample, rng: np.random.Generator) -> PointSample:
    return replace(sample, points=sample.points + rng.uniform(-1, 1, 2))


def test_augmentation_is_a_function_of_seed_draw_and_index(tiny_prepared):
    first, again = (PreparedDataset(tiny_prepared, "test", jitter, seed=3) for _ in range(2))
    first[0], first[1, 5]  # what was asked for before does not matter
    assert np.array_equal(first[1, 2].points, again[1, 2].points)
    assert np.array_equal(first[1].points, first[1, 0].points)
    assert not np.array_equal(first[1, 2].points, first[1, 3].points)
    assert not np.array_equal(
        first[1].points, PreparedDataset(tiny_prepared, "test", jitter, seed=4)[1].points
    )
    offsets = [first[index].points[0] - first.load(index).points[0] for index in range(2)]
    assert not np.allclose(*offsets)


def test_mean_shape_leaves_missing_landmarks_out(tmp_path):
    folder = write(
        tmp_path / "out",
        train=[case("a", [[3.0, 2.0], [np.nan, np.nan]]), case("b", [[9.0, 6.0], [15.0, 10.0]])],
    )
    expected = np.array([[6.0, 4.0], [15.0, 10.0]])
    assert np.allclose(mean_shape(PreparedDataset(folder, "train")), expected / [30, 20])


def test_mean_shape_is_on_the_canvas_of_the_transforms_and_reads_no_image(tmp_path, tiny_prepared):
    def to_canvas(sample: PointSample, rng: np.random.Generator) -> PointSample:
        return replace(sample, image=np.zeros((200, 100), np.uint8), points=sample.points + 10)

    folder = shutil.copytree(tiny_prepared, tmp_path / "copy")
    for file in (folder / "images").iterdir():
        file.write_bytes(b"")
    plain, moved = PreparedDataset(folder, "train"), PreparedDataset(folder, "train", to_canvas)
    assert np.allclose(mean_shape(moved) * [100, 200], mean_shape(plain) * [80, 96] + 10)


@pytest.mark.parametrize("transforms", [EvalTransforms((96, 64)), TrainTransforms((96, 64), artefacts=0.0)])
def test_where_landmarks_go_is_known_without_resampling_an_image(tiny_prepared, monkeypatch, transforms):
    """A black image would be enough to ask, but 15 ms each are 25 minutes for 100,000 of them."""
    dataset = PreparedDataset(tiny_prepared, "train", transforms)
    with_pixels = [dataset[index] for index in range(len(dataset))]
    for name in ("warpAffine", "remap", "GaussianBlur"):
        monkeypatch.setattr(cv2, name, None)
    transforms.intensity = lambda image, rng: image  # albumentations blurs with OpenCV too
    for index, expected in enumerate(with_pixels):
        found = dataset.without_pixels(index)
        np.testing.assert_array_equal(found.points, expected.points)
        np.testing.assert_array_equal(found.to_source, expected.to_source)
        assert found.size == expected.size and not found.image.any()
    require_spacing(dataset)


def test_mean_shape_names_a_landmark_that_is_never_there(tmp_path):
    folder = write(tmp_path / "out", train=[case("a", [[3.0, 2.0], [np.nan, np.nan]])])
    with pytest.raises(ValueError, match="'other'"):
        mean_shape(PreparedDataset(folder, "train"))


@pytest.mark.parametrize(
    ("names", "pairs", "words"),
    [
        (("left lung", "right lung", "left rib", "right rib"), (), "left lung and right lung are no pair"),
        (
            ("left lung", "right lung", "left rib", "right rib"),
            ((0, 1),),
            "left rib and right rib are no pair",
        ),
        (("a", "b", "c", "d"), (), "names no pairs"),
    ],
)
def test_sides_that_are_no_pair_are_not_mirrored(tmp_path, names, pairs, words):
    sides = LandmarkSet("sides", names, tuple("abcd"), pairs)
    points = [[3.0, 2.0], [9.0, 2.0], [3.0, 6.0], [9.0, 6.0]]
    write_prepared(
        tmp_path / "out",
        {"train": [case("a", points)]},
        landmark_set=sides,
        labels="me",
        created_by="test",
        source_files={},
    )
    assert len(PreparedDataset(tmp_path / "out", "train", TrainTransforms((96, 64), flip=0.0)))
    with pytest.raises(ValueError, match=words):
        PreparedDataset(tmp_path / "out", "train", TrainTransforms((96, 64), flip=0.5))


def test_splits_are_disjoint_complete_and_seeded():
    names, sizes = [f"{n:03d}" for n in range(20)], {"train": 12, "val": 3, "test": 5}
    split = split_by_image(names, sizes, seed=1)
    assert {name: len(cases) for name, cases in split.items()} == sizes
    assert sorted(sum(split.values(), ())) == names
    assert split == split_by_image(reversed(names), sizes, seed=1) != split_by_image(names, sizes, seed=2)


@pytest.mark.parametrize(
    ("names", "sizes"), [("aab", {"x": 3}), ("abc", {"x": 2}), ("abc", {"x": 4, "y": -1})]
)
def test_splits_that_cannot_be_are_refused(names, sizes):
    with pytest.raises(ValueError, match="expected"):
        split_by_image(names, sizes, seed=0)
