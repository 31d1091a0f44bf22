"""From files that people have to prepared masks: matched by name, every fault told, suspects found."""

import contextlib
import importlib.util
import io
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from pycocotools import mask as coco

from datasets.masks.annotation import Notes
from datasets.masks.dataset import MaskDataset
from datasets.masks.hand_task import BONES, read_metadata, sex_of, side_of_hand
from datasets.masks.mask_files import read_mask
from datasets.masks.matching import deal_split
from datasets.masks.sources import natural
from datasets.masks.suspects import find_suspects
from tests.support.run_tool import run_tool
from tests.support.tiny_masks import CHEST, SIZE, chest_case, ellipse

NUMBERS = range(12)
SPEC: Any = importlib.util.spec_from_file_location(
    "prepare_masks", Path(__file__).resolve().parents[1] / "tools/prepare_masks.py"
)
TOOL = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(TOOL)


def write_images(folder: Path, numbers=NUMBERS) -> Path:
    folder.mkdir(parents=True)
    for number in numbers:
        cv2.imwrite(str(folder / f"chest{number}.png"), chest_case(number).image)
    return folder


def masks_of(number: int) -> dict[str, np.ndarray]:
    return {
        name: shape.mask(SIZE) for name, shape in zip(CHEST.classes, chest_case(number).shapes, strict=True)
    }


def write_pngs(folder: Path, *, zoom: float = 1.0, absent: tuple[str, ...] = ("clavicle",)) -> Path:
    """A folder a class; a mask without pixels of the classes in ``absent`` is not written at all."""
    for number in NUMBERS:
        for name, mask in masks_of(number).items():
            if name in absent and not mask.any():
                continue
            (folder / name).mkdir(parents=True, exist_ok=True)
            size = round(SIZE[0] * zoom), round(SIZE[1] * zoom)
            resized = cv2.resize(mask.astype(np.uint8) * 255, size, interpolation=cv2.INTER_NEAREST)
            cv2.imwrite(str(folder / name / f"chest{number}.png"), resized)
    return folder


def chains_of(mask: np.ndarray) -> list[list[list[int]]]:
    found, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return [contour[:, 0].tolist() for contour in found]


def write_polygons(folder: Path) -> Path:
    folder.mkdir(parents=True)
    for number in NUMBERS:
        entries = [
            {"label": name, "points": chain}
            for name, mask in masks_of(number).items()
            for chain in chains_of(mask)
        ]
        data = {
            "annotations": entries,
            "filename": "elsewhere.jpg",
            "metadata": {"width": 3060, "height": 3060},
        }
        (folder / f"chest{number}.json").write_text(json.dumps(data))
    return folder


def write_coco(file: Path, *, compressed: bool) -> Path:
    images, entries = [], []
    for number in NUMBERS:
        images.append(
            {"id": 50 + number, "file_name": f"x/chest{number}.jpg", "width": SIZE[0], "height": SIZE[1]}
        )
        for k, mask in enumerate(masks_of(number).values()):
            code = coco.encode(np.asfortranarray(mask, np.uint8))
            code["counts"] = code["counts"].decode()
            if not compressed:
                flat = mask.ravel(order="F").astype(int)
                edges = np.flatnonzero(np.diff(flat, prepend=0))
                code["counts"] = np.diff([0, *edges, len(flat)]).tolist()
            entries.append(
                {"id": len(entries), "image_id": 50 + number, "category_id": 7 + k, "segmentation": code}
            )
    categories = [{"id": 7 + k, "name": name} for k, name in enumerate(CHEST.classes)]
    file.write_text(json.dumps({"images": images, "annotations": entries, "categories": categories}))
    return file


@dataclass
class Done:
    returncode: int
    stdout: str
    stderr: str


def prepare(folder: Path, *arguments: object) -> Done:
    """The tool within this process, which imports torch once; one test below runs it as people do."""
    return prepared("--images", folder / "images", "--output", folder / "out", *arguments)


def prepared(*arguments: object) -> Done:
    out = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(out):
        patch.setattr(sys, "argv", ["prepare_masks.py", *map(str, arguments)])
        try:
            TOOL.main()
        except ValueError as error:
            return Done(1, out.getvalue(), str(error))
    return Done(0, out.getvalue(), "")


def assert_same_masks(folder: Path, numbers=NUMBERS) -> None:
    """Every structure of every image as it was before it went through files."""
    seen = set()
    for name in ("train", "val", "test"):
        dataset = MaskDataset(folder, name)
        for index, case in enumerate(dataset.cases):
            expected, sample = masks_of(int(case.removeprefix("chest"))), dataset.load(index)
            for k, structure in enumerate(dataset.class_set.classes):
                np.testing.assert_array_equal(sample.shapes[k].mask(SIZE), expected[structure], err_msg=case)
            np.testing.assert_array_equal(sample.image, chest_case(int(case.removeprefix("chest"))).image)
        seen |= set(dataset.cases)
    assert seen == {f"chest{number}" for number in numbers}


@pytest.mark.parametrize("kind", ["masks", "polygons", "coco", "coco uncompressed"])
def test_every_kind_of_file_gives_the_same_masks(tmp_path, kind):
    write_images(tmp_path / "images")
    if kind == "masks":
        arguments = ("--masks", write_pngs(tmp_path / "masks"))
    elif kind == "polygons":
        arguments = ("--polygons", write_polygons(tmp_path / "polygons"))
    else:
        arguments = ("--coco", write_coco(tmp_path / "coco.json", compressed=kind == "coco"))
    done = prepare(tmp_path, *arguments, "--spacing", 0.35, "--folds", 3)
    assert done.returncode == 0, done.stderr
    assert_same_masks(tmp_path / "out")
    dataset = MaskDataset(tmp_path / "out", "train")
    assert set(dataset.class_set.classes) == set(CHEST.classes)
    lungs = {dataset.class_set.classes.index(name) for name in ("left_lung", "right_lung")}
    assert dataset.class_set.pairs == (tuple(sorted(lungs)),)
    np.testing.assert_array_equal(dataset.load(0).spacing, [0.35, 0.35])
    assert "no such structure: 6" in done.stdout, "odd images have no clavicle"
    if kind == "polygons":
        assert "chains of pixels" in done.stdout
    parts = [MaskDataset(tmp_path / "out", f"val@{number}/3").cases for number in (1, 2, 3)]
    assert len(sum(parts, ())) == len(set(sum(parts, ()))) == sum(map(len, parts))


def test_a_split_file_is_kept(tmp_path):
    write_images(tmp_path / "images")
    split = {"train": [f"chest{n}" for n in range(8)], "val": ["chest8"], "test": ["chest9.png", "chest10"]}
    (tmp_path / "split.json").write_text(json.dumps(split))
    done = prepare(tmp_path, "--masks", write_pngs(tmp_path / "masks"), "--split", tmp_path / "split.json")
    assert done.returncode == 0, done.stderr
    assert MaskDataset(tmp_path / "out", "test").cases == ("chest9", "chest10")
    assert "does not name, left out: 1 (chest11)" in done.stdout
    for wrong, named in (
        ({"train": ["chest99"]}, "chest99"),
        ({"train": ["chest1"], "val": ["chest1"]}, "twice"),
    ):
        (tmp_path / "split.json").write_text(json.dumps(wrong))
        done = prepared(
            *("--images", tmp_path / "images", "--masks", tmp_path / "masks"),
            *("--split", tmp_path / "split.json", "--output", tmp_path / "other"),
        )
        assert done.returncode != 0 and named in done.stderr and "Traceback" not in done.stderr
        assert not (tmp_path / "other").exists()


def test_masks_of_another_size_but_the_same_shape_are_scaled_and_named(tmp_path):
    write_images(tmp_path / "images")
    done = prepare(tmp_path, "--masks", write_pngs(tmp_path / "masks", zoom=2.0))
    assert done.returncode == 0, done.stderr
    assert "scaled from 192x160 to 96x80: 12" in done.stdout
    assert_same_masks(tmp_path / "out")


def test_masks_of_another_shape_are_refused(tmp_path):
    write_images(tmp_path / "images")
    folder = write_pngs(tmp_path / "masks")
    for name in CHEST.classes:
        cv2.imwrite(str(folder / name / "chest3.png"), np.zeros((80, 120), np.uint8))
    done = prepare(tmp_path, "--masks", folder)
    assert done.returncode != 0 and "120x80" in done.stderr and "another shape" in done.stderr
    assert not (tmp_path / "out").exists() and "Traceback" not in done.stderr


def edited(folder: Path, change) -> Path:
    """chest3.json after ``change``."""
    file = folder / "chest3.json"
    data = json.loads(file.read_text())
    change(data["annotations"])
    file.write_text(json.dumps(data))
    return folder


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda a: a[0].update(label="liver"), "unknown class ['liver']"),
        (lambda a: a[0].update(points=[[500, 10], [510, 10], [510, 30]]), "outside"),
        (lambda a: a[0].update(points="nowhere"), "annotation 0"),
        (lambda a: a[0].pop("label"), "annotation 0"),
        (lambda a: a[0].update(points=[]), "polygon of"),
    ],
)
def test_what_cannot_be_mended_is_refused_by_name(tmp_path, change, named):
    write_images(tmp_path / "images")
    folder = edited(write_polygons(tmp_path / "polygons"), change)
    done = prepare(tmp_path, "--polygons", folder, "--classes", *CHEST.classes)
    assert done.returncode != 0 and named in done.stderr and "chest3.json" in done.stderr
    assert "Traceback" not in done.stderr and not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (
            lambda a: a.append({**a[0], "points": [[2, 2], [12, 2], [12, 12], [2, 12]]}),
            "several polygons of a class",
        ),
        (lambda a: a[0].update(points=[[90, 40], [99, 40], [99, 60], [90, 60]]), "reaches beyond the image"),
        (lambda a: a[0].update(points=[[10, 10], [40, 40], [40, 10], [10, 40]]), "crosses itself"),
        (lambda a: a.pop(0), "no such structure"),
    ],
)
def test_what_can_be_mended_is_named(tmp_path, change, named):
    write_images(tmp_path / "images")
    done = prepare(tmp_path, "--polygons", edited(write_polygons(tmp_path / "polygons"), change))
    assert done.returncode == 0, done.stderr
    line = next(line for line in done.stdout.splitlines() if named in line)
    assert "chest3: right_lung" in line
    kept = json.loads((tmp_path / "out" / "checks.json").read_text())["noticed"]
    assert any("chest3: right_lung" in places for kind, places in kept.items() if named in kind)


def test_a_second_polygon_of_a_class_is_united_with_the_first(tmp_path):
    write_images(tmp_path / "images")
    square = {"label": "right_lung", "points": [[2, 2], [12, 2], [12, 12], [2, 12]]}
    folder = edited(write_polygons(tmp_path / "polygons"), lambda a: a.append(square))
    assert prepare(tmp_path, "--polygons", folder).returncode == 0
    for name in ("train", "val", "test"):
        dataset = MaskDataset(tmp_path / "out", name)
        if "chest3" in dataset.cases:
            shape = dataset.load(dataset.cases.index("chest3")).shapes[
                dataset.class_set.classes.index("right_lung")
            ]
    expected = masks_of(3)["right_lung"]
    expected[2:13, 2:13] = True
    np.testing.assert_array_equal(shape.mask(SIZE), expected)


def test_nothing_in_common_is_refused(tmp_path):
    write_images(tmp_path / "images", range(2))
    for number in range(2):
        (tmp_path / "images" / f"chest{number}.png").rename(tmp_path / "images" / f"other{number}.png")
    done = prepare(tmp_path, "--masks", write_pngs(tmp_path / "masks"))
    assert done.returncode != 0 and "other0" in done.stderr and "chest0" in done.stderr


def test_images_without_annotation_are_left_out_by_name(tmp_path):
    write_images(tmp_path / "images")
    folder = write_polygons(tmp_path / "polygons")
    (folder / "chest5.json").unlink()
    (folder / "chest4.json").rename(folder / "elsewhere.json")
    done = prepare(tmp_path, "--polygons", folder)
    assert "images without annotation, left out: 2 (chest4, chest5)" in done.stdout
    assert "annotations without image, left out: 1 (elsewhere)" in done.stdout
    assert_same_masks(tmp_path / "out", [n for n in NUMBERS if n not in (4, 5)])


def write_hands(folder: Path, *, persons: int = 10) -> None:
    """The hand task's layout: two images a person, 29 boxes in each; the right hand's thumb on the left."""
    for person in range(1, persons + 1):
        for part in ("DCM", "outputs_json"):
            (folder / part / f"ID{person:03d}").mkdir(parents=True)
        for hand in range(2):
            stem = f"image{1660000000000 + 10 * person + hand}"
            image = np.full((120, 120, 3), 30 * hand + person, np.uint8)
            image[::7] = 200
            cv2.imwrite(str(folder / "DCM" / f"ID{person:03d}" / f"{stem}.png"), image)
            entries = []
            for k, name in enumerate(BONES):
                x, y = 5 + 18 * (k % 6), 5 + 20 * (k // 6)
                points = np.array([[x, y], [x + 9, y], [x + 9, y + 12], [x, y + 12]])
                if hand:
                    points[:, 0] = 119 - points[:, 0]
                entries.append({"type": "poly_seg", "label": name, "points": points.tolist()})
            data = {
                "annotations": entries,
                "metadata": {"width": 3060, "height": 3060},
                "filename": "a_R.jpg",
            }
            (folder / "outputs_json" / f"ID{person:03d}" / f"{stem}.json").write_text(json.dumps(data))


def test_the_hand_tasks_layout_is_read_by_person_with_its_metadata(tmp_path):
    from openpyxl import Workbook

    write_hands(tmp_path)
    book = Workbook()
    book.active.append(["ID", "나이", "성별", "체중(몸무게)", "키(신장)", None])
    spellings = ["여", "_남", "F", "male ", "Female", "남자", "woman", "M", "?", "남성"]
    for person, spelling in enumerate(spellings, start=1):
        book.active.append([f"ID{person:03d}", 30, spelling, 60, 170, None])
    book.save(tmp_path / "meta_data.xlsx")
    done = run_tool(
        "tools/prepare_masks.py",
        *("--images", tmp_path / "DCM", "--polygons", tmp_path / "outputs_json"),
        *("--metadata", tmp_path / "meta_data.xlsx", "--output", tmp_path / "out", "--folds", 4),
    )
    assert done.returncode == 0, done.stderr
    assert "sex not understood: 1 (ID009 ('?'))" in done.stdout
    persons: dict[str, str] = {}
    for name in ("train", "val", "test"):
        dataset = MaskDataset(tmp_path / "out", name)
        assert dataset.class_set.classes == BONES and dataset.class_set.pairs == ()
        for index in range(len(dataset)):
            sample = dataset.load(index)
            assert persons.setdefault(sample.person, name) == name, "both hands in one split"
            number = int(sample.person[2:])
            sex, side = sample.attributes
            assert sex == {0: 0, 1: 1}[(number + 1) % 2] if number != 9 else sex == -1
            assert side == (0 if int(sample.case[-1]) % 2 else 1), "the first image is the right hand"
            assert [shape.mask((120, 120)).sum() for shape in sample.shapes] == [130] * 29
    assert len(persons) == 10
    owners = [
        {dataset.load(index).person for index in range(len(dataset))}
        for dataset in (MaskDataset(tmp_path / "out", f"val@{number}/4") for number in range(1, 5))
    ]
    assert len(set.union(*owners)) == sum(map(len, owners)), "no person is in two folds"


@pytest.mark.parametrize(
    ("text", "sex"),
    [
        ("F", "female"),
        ("여", "female"),
        (" Woman", "female"),
        ("m", "male"),
        ("_남", "male"),
        ("-", None),
        ("", None),
    ],
)
def test_the_sex_is_told_from_any_usual_spelling(text, sex):
    assert sex_of(text) == sex


def test_metadata_as_csv_and_what_is_wrong_with_it(tmp_path):
    file = tmp_path / "m.csv"
    file.write_text("ID,sex\nID001,F\nID002,x\n")
    assert read_metadata(file) == ({"ID001": {"sex": "female"}, "ID002": {}}, ["ID002 ('x')"])
    for text, named in (("ID,age\n1,2\n", "sex"), ("ID,sex\nA,F\nA,M\n", "two rows"), ("ID,sex\n", "1 rows")):
        file.write_text(text)
        with pytest.raises(ValueError, match=named):
            read_metadata(file)
    (tmp_path / "m.xlsx").write_bytes(b"no workbook")
    with pytest.raises(ValueError, match="not a readable .xlsx"):
        read_metadata(tmp_path / "m.xlsx")


def test_the_side_is_told_by_thumb_and_little_finger():
    assert side_of_hand({"finger-1": (10.0, 0.0), "finger-16": (90.0, 0.0)}) == "right"
    assert side_of_hand({"finger-1": (90.0, 0.0), "finger-16": (10.0, 0.0)}) == "left"
    assert side_of_hand({"finger-1": (90.0, 0.0)}) is None


def test_names_are_sorted_by_their_numbers():
    assert natural(["finger-10", "finger-2", "Ulna"]) == ("Ulna", "finger-2", "finger-10")


def test_a_grey_mask_is_cut_at_the_middle_and_named(tmp_path):
    notes = Notes()
    cv2.imwrite(str(tmp_path / "a.png"), np.array([[0, 127, 128, 255]], np.uint8))
    cv2.imwrite(str(tmp_path / "b.png"), np.array([[0, 1, 1, 0]], np.uint8))
    assert read_mask(tmp_path / "a.png", notes).tolist() == [[False, False, True, True]]
    assert len(notes.lines()) == 1
    assert read_mask(tmp_path / "b.png", notes).tolist() == [[False, True, True, False]]
    assert len(notes.lines()) == 1
    cv2.imwrite(str(tmp_path / "c.png"), np.zeros((3, 4), np.uint8))
    assert not read_mask(tmp_path / "c.png", notes).any()
    (tmp_path / "d.png").write_bytes(b"no picture")
    with pytest.raises(ValueError, match=r"d\.png"):
        read_mask(tmp_path / "d.png", notes)


def test_a_dealt_split_keeps_persons_and_strata():
    persons = {f"{person}{hand}": str(person) for person in range(50) for hand in "ab"}
    strata = {case: str(int(person) % 5 == 0) for case, person in persons.items()}
    split = deal_split(persons, {"val": 0.2, "test": 0.2}, 0, strata)
    assert {name: len(cases) for name, cases in split.items()} == {"train": 60, "val": 20, "test": 20}
    owners = [{persons[case] for case in cases} for cases in split.values()]
    assert len(set.union(*owners)) == sum(map(len, owners)) == 50
    assert [sum(strata[case] == "True" for case in cases) for cases in split.values()] == [12, 4, 4]
    with pytest.raises(ValueError, match="nothing is left for train"):
        deal_split({"a": "A", "b": "B"}, {"val": 0.5, "test": 0.5}, 0)


def hand_like(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Centres (N, 12, 2) and areas (N, 12) of turned, shifted, half of them mirrored shapes."""
    base = rng.uniform(0.2, 0.8, (12, 2))
    centres = []
    for n in range(count):
        angle = rng.uniform(-0.5, 0.5)
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        mirror = np.diag([-1.0 if n % 2 else 1.0, 1.0])
        points = (base - 0.5 + rng.normal(0, 0.005, base.shape)) @ mirror @ turn.T * rng.uniform(0.8, 1.2)
        centres.append(points + 0.5 + rng.uniform(-0.1, 0.1, 2))
    areas = rng.uniform(0.01, 0.02, 12) * np.exp(rng.normal(0, 0.05, (count, 12)))
    return np.array(centres), areas


def test_sound_labels_are_not_suspected():
    centres, areas = hand_like(np.random.default_rng(0), 40)
    names = [str(n) for n in range(40)]
    assert find_suspects(names, [f"bone{k}" for k in range(12)], centres, areas) == []


def test_wrong_labels_are_suspected_first_and_told_what_they_are():
    centres, areas = hand_like(np.random.default_rng(1), 40)
    names, classes = [str(n) for n in range(40)], [f"bone{k}" for k in range(12)]
    centres[7, [2, 5]] = centres[7, [5, 2]]  # exchanged
    centres[11, 3] += 0.5  # elsewhere
    areas[20, 8] *= 3.0
    centres[30, 4] = np.nan  # absent: nothing to suspect
    found = {(s.case, s.structure): s.reason for s in find_suspects(names, classes, centres, areas)}
    assert found == {
        ("7", "bone2"): "lies where the others have bone5",
        ("7", "bone5"): "lies where the others have bone2",
        ("11", "bone3"): "lies far from where the others have it",
        ("20", "bone8"): found[("20", "bone8")],
    }
    assert "larger than usual" in found[("20", "bone8")]


def test_exchanged_sides_of_few_structures_and_a_mirrored_image_are_suspected():
    rng = np.random.default_rng(2)
    lungs = np.array([[0.3, 0.5], [0.7, 0.5], [0.55, 0.6]]) + rng.normal(0, 0.01, (30, 3, 2))
    areas = np.full((30, 3), 0.1)
    lungs[4, [0, 1]] = lungs[4, [1, 0]]
    found = find_suspects([str(n) for n in range(30)], ["right", "left", "heart"], lungs, areas)
    assert {(s.case, s.structure) for s in found} == {("4", "right"), ("4", "left")}
    centres, areas = hand_like(np.random.default_rng(3), 40)
    centres[1::2, :, 0] = 1.0 - centres[1::2, :, 0]  # now all the same way round
    centres[6, :, 0] = 1.0 - centres[6, :, 0]
    found = find_suspects([str(n) for n in range(40)], [str(k) for k in range(12)], centres, areas)
    assert [(s.case, s.structure) for s in found] == [("6", "")]


def test_suspects_are_listed_with_pictures(tmp_path):
    write_images(tmp_path / "images")
    folder = write_polygons(tmp_path / "polygons")

    def exchange(entries: list) -> None:
        for entry in entries:
            entry["label"] = {"right_lung": "left_lung", "left_lung": "right_lung"}.get(
                entry["label"], entry["label"]
            )

    done = prepare(tmp_path, "--polygons", edited(folder, exchange))
    assert done.returncode == 0, done.stderr
    assert "chest3 right_lung: lies where the others have left_lung" in done.stdout
    assert [file.name for file in (tmp_path / "out" / "suspects").iterdir()] == ["chest3.png"]
    picture = cv2.imread(str(tmp_path / "out" / "suspects" / "chest3.png"))
    assert picture.shape == (80, 96, 3) and (picture[..., 2] > picture[..., 1] + 80).sum() > 100


def test_polygons_with_fractions_are_continuous(tmp_path):
    write_images(tmp_path / "images")
    folder = write_polygons(tmp_path / "polygons")
    outline = ellipse(30.3, 40.2, 15.0, 20.0)
    edited(folder, lambda a: a[0].update(points=outline.tolist()))
    done = prepare(tmp_path, "--polygons", folder)
    assert "continuous (with fractions)" in done.stdout
    for name in ("train", "val", "test"):
        dataset = MaskDataset(tmp_path / "out", name)
        if "chest3" in dataset.cases:
            shape = dataset.load(dataset.cases.index("chest3")).shapes[
                dataset.class_set.classes.index("right_lung")
            ]
            np.testing.assert_allclose(shape.polygons[0], outline, atol=1e-4)
            assert shape.runs is None


def real(name: str) -> Path:
    if "CEPHDETR_REAL_DATA" not in os.environ:
        pytest.skip(f"CEPHDETR_REAL_DATA is not set: the folder that holds {name}/")
    return Path(os.environ["CEPHDETR_REAL_DATA"]) / name


@pytest.mark.real_data
def test_real_chests_are_the_same_from_pictures_and_polygons(tmp_path):
    source = real("jsrt")
    for kind in ("masks", "polygons"):
        given = ("--images", source / "images", f"--{kind}", source / kind, "--output", tmp_path / kind)
        done = prepared(*given, "--spacing", 0.35)
        assert done.returncode == 0, done.stderr
        assert "suspicious" not in done.stdout, "nothing wrong with these labels"
    differing = images = 0
    for name in ("train", "val", "test"):
        one, other = (MaskDataset(tmp_path / kind, name) for kind in ("masks", "polygons"))
        assert one.cases == other.cases and one.class_set.classes == other.class_set.classes
        for index in range(len(one)):
            differing += int((one.load(index).packed() != other.load(index).packed()).sum())
        images += len(one)
    assert images == 124 and differing <= 1, "one polygon passes over a hole of one pixel"
    assert one.class_set.pairs is not None and len(one.class_set.pairs) == 2


@pytest.mark.real_data
def test_exchanged_sides_of_a_real_chest_are_suspected(tmp_path):
    source = real("jsrt")
    (tmp_path / "polygons").mkdir()
    for file in sorted((source / "polygons").iterdir())[:40]:
        data = json.loads(file.read_text())
        if file.stem == "JPCLN021":
            for entry in data["annotations"]:
                sides = {"left_lung": "right_lung", "right_lung": "left_lung"}
                entry["label"] = sides.get(entry["label"], entry["label"])
        (tmp_path / "polygons" / file.name).write_text(json.dumps(data))
    given = ("--images", source / "images", "--polygons", tmp_path / "polygons", "--output", tmp_path / "out")
    done = prepared(*given, "--spacing", 0.35)
    assert done.returncode == 0, done.stderr
    suspects = json.loads((tmp_path / "out" / "checks.json").read_text())["suspects"]
    assert {(s["case"], s["structure"]) for s in suspects} == {
        ("JPCLN021", "left_lung"),
        ("JPCLN021", "right_lung"),
    }


@pytest.mark.real_data
def test_real_teeth_are_scaled_to_their_films(tmp_path):
    source = real("teeth")
    given = ("--images", source, "--coco", source / "masks_512.json", "--output", tmp_path / "out")
    done = prepared(*given)
    assert done.returncode == 0, done.stderr
    assert "scaled from 512x512 to 640x640: 119" in done.stdout
    dataset = MaskDataset(tmp_path / "out", "train")
    assert len(dataset.class_set) == 32 and len(dataset.class_set.pairs or ()) == 16
    assert dataset.load(0).size == (640, 640) == dataset.load(0).source_size
