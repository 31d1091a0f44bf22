"""Prepared masks: what is written comes back, persons stay together, and everything unsound is refused."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from datasets.masks.batch import collate
from datasets.masks.case import MaskCase
from datasets.masks.dataset import MaskDataset
from datasets.masks.folds import folds_by_person
from datasets.masks.raster import plane
from datasets.masks.shape import Shape
from datasets.masks.writer import write_masks
from datasets.prepared.prepared import PreparedDataset
from tests.support.tiny_masks import CHEST, SIZE, chest_case, write_chests


@pytest.fixture(scope="module")
def chests(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_chests(tmp_path_factory.mktemp("masks") / "chests")


def write(folder: Path, *cases: MaskCase, split: str = "train", **options) -> None:
    write_masks(
        folder,
        {split: cases},
        class_set=CHEST,
        labels="x",
        created_by="a test",
        source_files={},
        **options,
    )


def changed(chests: Path, folder: Path, change: Callable[[dict], None], name: str = "test") -> Path:
    """A copy whose annotation file went through ``change``."""
    shutil.copytree(chests, folder)
    file = folder / ("dataset.json" if name == "dataset" else f"annotations/{name}.json")
    data = json.loads(file.read_text())
    change(data)
    file.write_text(json.dumps(data))
    return folder


def test_what_is_written_comes_back(chests):
    dataset = MaskDataset(chests, "test")
    assert dataset.class_set == CHEST and dataset.labels == "synthetic"
    assert dataset.cases == ("chest10", "chest11", "chest12", "chest13")
    for index, number in enumerate(range(10, 14)):
        sample, case = dataset.load(index), chest_case(number)
        np.testing.assert_array_equal(sample.image, case.image)
        assert sample.person == case.person and sample.attributes == (number // 2 % 2,)
        packed = sample.packed()
        for k, shape in enumerate(case.shapes):
            np.testing.assert_array_equal(plane(packed, k), shape.mask(SIZE), err_msg=CHEST.classes[k])
            np.testing.assert_array_equal(sample.shapes[k].mask(SIZE), shape.mask(SIZE))
        np.testing.assert_array_equal(sample.spacing, [0.5, 0.5])
        assert sample.known == (True,) * 4
    overlap = plane(packed, 1) & plane(packed, 2)
    assert overlap.sum() > 100, "heart and left lung share pixels"


def test_batches_hold_persons_and_the_truth_in_source_pixels(chests):
    dataset = MaskDataset(chests, "test")
    batch = collate([dataset[0], dataset[1]])
    assert batch.persons == ("P5", "P5") and batch.source_sizes == (SIZE, SIZE)
    assert batch.present.tolist() == [[True] * 4, [True, True, True, False]]
    np.testing.assert_array_equal(batch.targets[1, 2].numpy(), batch.shapes[1][2].mask(SIZE))


def test_the_file_is_coco_that_others_read(chests):
    from pycocotools.coco import COCO

    theirs = COCO(str(chests / "annotations" / "test.json"))
    dataset = MaskDataset(chests, "test")
    image = theirs.getImgIds()[0]
    for annotation in theirs.loadAnns(theirs.getAnnIds(image)):
        k = annotation["category_id"] - 1
        ours = dataset.load(0).shapes[k].mask(SIZE)
        mask = theirs.annToMask(annotation).astype(bool)
        difference = (mask ^ ours).sum()
        assert difference == 0 if k >= 2 else difference < 0.05 * ours.sum(), CHEST.classes[k]
        assert annotation["area"] == ours.sum()


def test_several_annotations_of_a_class_are_united(chests, tmp_path):
    def split_in_two(data: dict) -> None:
        heart = next(entry for entry in data["annotations"] if entry["category_id"] == 3)
        mask = chest_case(10).shapes[2].mask(SIZE)
        upper, lower = mask.copy(), mask.copy()
        upper[52:], lower[:50] = False, False  # they share two rows
        for part in (upper, lower):
            segmentation = next(Shape.of_mask(part).segmentations(SIZE, 4))
            data["annotations"].append({**heart, **segmentation})
        data["annotations"].remove(heart)

    folder = changed(chests, tmp_path / "c", split_in_two)
    found = MaskDataset(folder, "test").load(0)
    expected = chest_case(10).shapes[2].mask(SIZE)
    np.testing.assert_array_equal(found.shapes[2].mask(SIZE), expected)
    np.testing.assert_array_equal(plane(found.packed(), 2), expected)


def test_folds_keep_persons_together(chests):
    seen = []
    for number in range(1, 6):
        parts = {name: MaskDataset(chests, f"{name}@{number}/5") for name in ("train", "val")}
        persons = {
            name: {dataset.load(index).person for index in range(len(dataset))}
            for name, dataset in parts.items()
        }
        assert not persons["train"] & persons["val"]
        assert len(parts["train"]) + len(parts["val"]) == 10
        seen += parts["val"].cases
    assert sorted(seen) == sorted(f"chest{number}" for number in range(10))


def test_folds_that_are_written_down_are_used(tmp_path):
    cases = [chest_case(number) for number in range(6)]
    folds = {"2": [["chest0", "chest1"], ["chest2", "chest3", "chest4", "chest5"]]}
    write(tmp_path / "d", *cases[:4], folds=folds)  # all in train; val is needed for folds
    with pytest.raises(ValueError, match="val"):
        MaskDataset(tmp_path / "d", "val@1/2")
    write_masks(
        tmp_path / "e",
        {"train": cases[:4], "val": cases[4:]},
        class_set=CHEST,
        labels="x",
        created_by="a test",
        source_files={},
        folds=folds,
    )
    assert MaskDataset(tmp_path / "e", "val@1/2").cases == ("chest0", "chest1")
    assert MaskDataset(tmp_path / "e", "train@1/2").cases == ("chest2", "chest3", "chest4", "chest5")


def test_dealt_folds_are_even_in_size_and_strata():
    persons = {f"{person}{side}": f"{person}" for person in range(40) for side in "LR"}
    strata = {case: "female" if int(person) % 4 else "male" for case, person in persons.items()}
    parts = folds_by_person(persons, 5, 0, strata)
    assert sorted(case for part in parts for case in part) == sorted(persons)
    for part in parts:
        assert len(part) == 16
        assert sum(strata[case] == "male" for case in part) == 4
    owners = [{persons[case] for case in part} for part in parts]
    assert sum(map(len, owners)) == 40, "each person in one part"
    assert parts != folds_by_person(persons, 5, 1, strata)
    with pytest.raises(ValueError, match="2 persons in 3 folds"):
        folds_by_person({"a": "A", "b": "B"}, 3, 0)


def test_augmentation_depends_on_seed_draw_and_index_alone(chests):
    def shade(sample, rng):
        return replace(sample, image=np.full_like(sample.image, rng.integers(256)))

    first, again = MaskDataset(chests, "train", shade, 3), MaskDataset(chests, "train", shade, 3)
    assert first[2, 1].image[0, 0] == again[2, 1].image[0, 0]
    shades = {int(first[index, draw].image[0, 0]) for index in range(4) for draw in range(4)}
    assert len(shades) > 10


def test_a_folder_of_another_kind_is_named(chests, tiny_prepared):
    with pytest.raises(ValueError, match="landmarks are annotated, expected masks"):
        MaskDataset(tiny_prepared, "train")
    with pytest.raises(ValueError, match="masks are annotated, expected landmarks"):
        PreparedDataset(chests, "train")


def test_a_person_in_two_splits_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"person 'P0'.*'train'.*'test'"):
        write_masks(
            tmp_path / "d",
            {"train": [chest_case(0)], "test": [chest_case(1)]},
            class_set=CHEST,
            labels="x",
            created_by="a test",
            source_files={},
        )
    assert not (tmp_path / "d").exists()


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"image": np.zeros((4, 4), np.float32)}, "uint8 grey"),
        ({"shapes": (Shape(),) * 3}, "3 structures"),
        ({"shapes": (Shape((np.ones((2, 2)),)), *(Shape(),) * 3)}, "three vertices"),
        ({"shapes": (Shape((np.array([[1.0, 1], [200, 5], [3, 9]]),)), *(Shape(),) * 3)}, "x=200, y=5"),
        ({"attributes": {"sex": "x"}}, "sex='x'"),
        ({"attributes": {"age": "5"}}, "age='5'"),
        ({"unknown": ("liver",)}, "liver"),
        ({"spacing": np.array([0.0, 1.0])}, "spacing"),
    ],
)
def test_an_unsound_case_is_refused(tmp_path, changes, named):
    with pytest.raises(ValueError, match=r"case 'chest0'") as refused:
        write(tmp_path / "d", replace(chest_case(0), **changes))
    assert named in str(refused.value)
    assert not (tmp_path / "d").exists()


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda data: data["annotations"][0].update(category_id=9), "category 9"),
        (lambda data: data["annotations"][0].update(image_id=99), "image 99"),
        (lambda data: data["annotations"][2]["segmentation"].update(size=[5, 5]), "run lengths"),
        (lambda data: data["annotations"][2]["segmentation"].update(counts="48"), "of 12 pixels"),
        (lambda data: data["annotations"][0]["segmentation"][0].__setitem__(0, 500.0), "x=500"),
        (lambda data: data["annotations"][0]["segmentation"][0].append(1.0), "polygon of"),
        (lambda data: data["annotations"][0]["segmentation"].append([1.0, 1.0, 2.0, 2.0]), "three points"),
        (lambda data: data["images"][0].update(attributes={"sex": "other"}), "sex='other'"),
        (lambda data: data["images"][0].update(spacing=[-1, 1]), "spacing"),
        (lambda data: data["images"].pop(), "image 4"),
        (lambda data: data.pop("categories"), "categories"),
    ],
)
def test_an_unsound_file_is_refused(chests, tmp_path, change, named):
    with pytest.raises(ValueError, match=r"test\.json") as refused:
        MaskDataset(changed(chests, tmp_path / "c", change), "test")
    assert named in str(refused.value)


def test_a_class_that_nobody_looked_for_is_unknown(tmp_path):
    write(tmp_path / "d", replace(chest_case(0), unknown=("heart",)))
    assert MaskDataset(tmp_path / "d", "train").load(0).known == (True, True, False, True)
