"""From files that people have to prepared masks: matched by name, every fault told, suspects found."""

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from datasets.files.image_files import read_images
from datasets.masks.annotation import Notes
from datasets.masks.dataset import MaskDataset
from datasets.masks.mask_files import read_mask
from datasets.masks.matching import deal_split
from datasets.masks.polygon_files import by_stem
from datasets.masks.sources import natural
from tests.support.mask_sources import (
    NUMBERS,
    masks_of,
    prepare,
    prepared,
    write_coco,
    write_images,
    write_pngs,
    write_polygons,
)
from tests.support.tiny_masks import CHEST, SIZE, chest_case, ellipse
from util.prediction.stems import plain_stem


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
        (lambda a: a[0].update(label=None), "annotation 0: label None"),
        (lambda a: a[0].update(points=[[96, 10], [99, 10], [99, 30]]), "outside"),
        (lambda a: a[0].update(points=[[10, 10], [1e300, 10], [9, 30]]), "a vertex at x=1e+300"),
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


def test_annotations_without_a_class_are_refused_by_name(tmp_path):
    write_images(tmp_path / "images")
    file = tmp_path / "none.json"
    file.write_text(json.dumps({"images": [], "annotations": [], "categories": []}))
    done = prepare(tmp_path, "--coco", file)
    assert done.returncode == 1 and f"{file}: names no class" in done.stderr


def test_the_last_figures_of_a_uid_are_no_suffix(tmp_path):
    """DICOM files often have a UID as their name, and no suffix."""
    files = [tmp_path / f"1.2.840.{number}" for number in (111, 112)]
    assert list(by_stem(files, tmp_path, "image")) == ["1.2.840.111", "1.2.840.112"]
    assert list(by_stem([tmp_path / "1.2.840.111.png"], tmp_path, "mask")) == ["1.2.840.111"]
    assert plain_stem(files[0], None) == "1.2.840.111"


def test_names_that_no_case_may_have_are_changed_and_told(tmp_path):
    write_images(tmp_path / "images")
    write_pngs(tmp_path / "masks")
    for file in list(tmp_path.rglob("chest5.png")):
        file.rename(file.with_stem("Größe 5"))
    split = tmp_path / "split.json"
    names = [f"chest{n}" for n in NUMBERS if n != 5]
    split.write_text(json.dumps({"train": ["Größe 5", *names[:8]], "val": names[8:]}))
    done = prepare(tmp_path, "--masks", tmp_path / "masks", "--split", split, "--folds", 3)
    assert done.returncode == 0, done.stderr
    assert "changed: 1 (Größe 5 to Gr__e_5)" in done.stdout
    dataset = MaskDataset(tmp_path / "out", "train")
    sample = dataset.load(dataset.cases.index("Gr__e_5"))
    for k, name in enumerate(dataset.class_set.classes):
        np.testing.assert_array_equal(sample.shapes[k].mask(SIZE), masks_of(5)[name])
    assert sum("Gr__e_5" in MaskDataset(tmp_path / "out", f"val@{n}/3").cases for n in (1, 2, 3)) == 1


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


def test_a_mask_is_turned_as_its_exif_orientation_says(tmp_path):
    """As the image is, which the same program wrote with the same orientation."""
    mask = np.zeros((4, 6), np.uint8)
    mask[0, :2] = 255
    for suffix in ("png", "tif"):
        for turn, expected in ((3, mask[::-1, ::-1]), (6, np.rot90(mask, -1))):
            orientation = Image.Exif()
            orientation[0x0112] = turn
            file = tmp_path / f"{turn}.{suffix}"
            Image.fromarray(mask).save(file, exif=orientation)
            found = read_mask(file, Notes())
            np.testing.assert_array_equal(found, expected > 0)
            np.testing.assert_array_equal(found, next(read_images(file)).image > 0)


def test_a_mask_whose_transparency_says_otherwise_is_refused(tmp_path):
    bright = np.array([[0, 255, 255, 0]], np.uint8)
    cv2.imwrite(str(tmp_path / "a.png"), np.stack([bright, bright, bright, bright], -1))
    assert read_mask(tmp_path / "a.png", Notes()).tolist() == [[False, True, True, False]]
    for grey in (0, 255):  # the mask is in the transparency alone
        flat = np.full_like(bright, grey)
        cv2.imwrite(str(tmp_path / "b.png"), np.stack([flat, flat, flat, bright], -1))
        with pytest.raises(ValueError, match=r"b\.png.*transparent"):
            read_mask(tmp_path / "b.png", Notes())


def write_bones(folder: Path) -> Path:
    """The chest's masks under the names of three bones."""
    write_pngs(folder)
    for name, bone in (("left_lung", "Ulna"), ("right_lung", "Radius"), ("heart", "Lunate")):
        (folder / name).rename(folder / bone)
    shutil.rmtree(folder / "clavicle")
    return folder


@pytest.mark.parametrize("chosen", [(), ("Ulna", "Radius", "Lunate")])
def test_some_bones_of_a_hand_stay_those(tmp_path, chosen):
    """Not all 29: classes that no image shows would each count as a Dice of 1."""
    write_images(tmp_path / "images")
    options = ("--classes", *chosen) if chosen else ()
    done = prepare(tmp_path, "--masks", write_bones(tmp_path / "masks"), *options)
    assert done.returncode == 0, done.stderr
    class_set = MaskDataset(tmp_path / "out", "train").class_set
    assert class_set.classes == (chosen or ("Lunate", "Radius", "Ulna"))
    assert class_set.pairs == () and "side" in class_set.attributes


def test_bones_that_were_not_asked_for_are_refused(tmp_path):
    write_images(tmp_path / "images")
    done = prepare(tmp_path, "--masks", write_bones(tmp_path / "masks"), "--classes", "Ulna", "Radius")
    assert "unknown class ['Lunate']" in done.stderr


def test_polygons_of_two_points_are_named(tmp_path):
    """As a chain they are pixels; between continuous points there is none."""
    write_images(tmp_path / "images")
    folder = write_polygons(tmp_path / "polygons")
    file = folder / "chest4.json"
    data = json.loads(file.read_text())
    data["annotations"].append({"label": "heart", "points": [[8.5, 9.5], [12, 14]]})
    file.write_text(json.dumps(data))
    done = prepare(tmp_path, "--polygons", folder)
    assert "fewer than three points, which enclose no pixel: 1 (chest4: heart)" in done.stdout


def test_a_label_of_two_spellings_is_named(tmp_path):
    """Without --classes it makes a class of its own, and its structure is missing from the other."""
    write_images(tmp_path / "images")
    folder = write_polygons(tmp_path / "polygons")
    done = prepare(tmp_path, "--polygons", folder)
    assert done.returncode == 0 and "two spellings" not in done.stdout
    file = folder / "chest3.json"
    file.write_text(file.read_text().replace('"heart"', '"haert"'))
    done = prepare(tmp_path, "--polygons", folder, "--output", tmp_path / "other")
    assert "two spellings of one class?: 1 (haert in 1 images, heart in 11)" in done.stdout


def test_outlines_of_smaller_images_than_these_are_named(tmp_path):
    """Nothing in the file says so: what it states of a size describes another picture."""
    for file in write_images(tmp_path / "images").iterdir():
        cv2.imwrite(str(file), cv2.resize(cv2.imread(str(file)), None, fx=2, fy=2))
    done = prepare(tmp_path, "--polygons", write_polygons(tmp_path / "polygons"))
    assert done.returncode == 0 and "were smaller images annotated?: 1 (polygons)" in done.stdout
    done = prepare(tmp_path, "--masks", write_pngs(tmp_path / "masks"), "--output", tmp_path / "other")
    assert done.returncode == 0 and "smaller images" not in done.stdout, "pictures know their size"


def test_polygons_in_folders_tell_the_persons_of_images_that_lie_loose(tmp_path):
    """Otherwise the two hands of a person went to two splits, without a word."""
    write_images(tmp_path / "images")
    folder = write_polygons(tmp_path / "polygons")
    for number in NUMBERS:
        (folder / f"p{number // 2}").mkdir(exist_ok=True)
        (folder / f"chest{number}.json").rename(folder / f"p{number // 2}" / f"chest{number}.json")
    for chosen, persons in (((), 6), (("--person", "folder"), 6), (("--person", "image"), 12)):
        done = prepare(tmp_path, "--polygons", folder, *chosen, "--output", tmp_path / f"out{len(chosen)}")
        assert done.returncode == 0 and f"({persons} persons)" in done.stdout, done.stderr
        assert ("persons are the folders of the polygons" in done.stdout) == (not chosen)
        shutil.rmtree(tmp_path / f"out{len(chosen)}")
    prepare(tmp_path, "--polygons", folder)
    header = json.loads((tmp_path / "out" / "dataset.json").read_text())
    assert header["persons"]["chest5"] == "p2"


def test_folders_that_are_not_taken_for_persons_are_named(tmp_path):
    """Two images of a person in two splits would make every number too good."""
    write_images(tmp_path / "images")
    for number in NUMBERS:
        (tmp_path / "images" / f"p{number // 2}").mkdir(exist_ok=True)
        (tmp_path / "images" / f"chest{number}.png").rename(
            tmp_path / "images" / f"p{number // 2}" / f"chest{number}.png"
        )
    masks = write_pngs(tmp_path / "masks")
    done = prepare(tmp_path, "--masks", masks)
    assert "each a person of its own (else: --person folder)" in done.stdout and "(12 persons)" in done.stdout
    done = prepare(tmp_path, "--masks", masks, "--person", "folder", "--output", tmp_path / "other")
    assert "of its own" not in done.stdout and "(6 persons)" in done.stdout


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_a_class_that_no_image_shows_is_named(tmp_path):
    write_images(tmp_path / "images")
    classes = (*CHEST.classes, "spine")
    done = prepare(tmp_path, "--masks", write_pngs(tmp_path / "masks"), "--classes", *classes)
    assert "classes that no image shows: 1 (spine)" in done.stdout, done.stderr


def test_a_class_that_no_image_of_train_shows_is_named(tmp_path):
    write_images(tmp_path / "images")
    split = {"train": ["chest1", "chest3"], "val": ["chest4"], "test": ["chest6"]}  # odd: no clavicle
    (tmp_path / "split.json").write_text(json.dumps(split))
    done = prepare(tmp_path, "--masks", write_pngs(tmp_path / "masks"), "--split", tmp_path / "split.json")
    assert "classes that no image of train shows: 1 (clavicle)" in done.stdout, done.stderr


@pytest.mark.parametrize("share", [-0.1, 1.0, float("nan")])
def test_a_share_that_is_none_is_refused(share):
    with pytest.raises(ValueError, match="--val .* share of the persons"):
        deal_split({"a": "A", "b": "B", "c": "C"}, {"val": share}, 0)


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


def test_a_split_is_even_in_the_columns_that_are_named(tmp_path):
    """Four of twelve persons are of hospital A: one goes to each of val and test, and sex does not count."""
    write_images(tmp_path / "images")
    table = tmp_path / "persons.csv"
    rows = [f"chest{n},F,{'BAB'[n % 3]}" for n in NUMBERS]
    table.write_text("\n".join(["ID,sex,Hospital", *rows]), encoding="utf-8")
    given = ("--masks", write_pngs(tmp_path / "masks"), "--metadata", table)
    dealt = ("--val", 0.25, "--test", 0.25, "--folds", 3, "--stratify", "hospital")
    done = prepare(tmp_path, *given, *dealt)
    assert done.returncode == 0, done.stderr
    for name in ("val", "test", "val@1/3", "val@2/3", "val@3/3"):
        cases = MaskDataset(tmp_path / "out", name).cases
        assert len(cases) == 3 and sum(f"{case},F,A" in rows for case in cases) == 1, name
    header = json.loads((tmp_path / "out" / "dataset.json").read_text())
    assert header["created_by"].endswith("--stratify hospital")
    split = tmp_path / "split.json"
    split.write_text(json.dumps({"train": [f"chest{n}" for n in NUMBERS]}))
    for arguments, message in (
        ((*given, "--stratify", "ward"), "columns ['id', 'sex', 'hospital'], expected one named ward"),
        ((*given[:2], "--stratify", "sex"), "--stratify sex: columns of no table. Give --metadata FILE."),
        ((*given, "--stratify", "sex", "--split", split), "--split says where all images go"),
    ):
        refused = prepare(tmp_path, *arguments)
        assert refused.returncode == 1 and message in refused.stderr


def test_a_table_without_sex_will_do_for_other_columns(tmp_path):
    write_images(tmp_path / "images")
    table = tmp_path / "persons.csv"
    table.write_text("\n".join(["ID,ward", *(f"chest{n},{'BAB'[n % 3]}" for n in NUMBERS)]), encoding="utf-8")
    given = ("--masks", write_pngs(tmp_path / "masks"), "--metadata", table)
    done = prepare(tmp_path, *given, "--val", 0.25, "--test", 0.25, "--stratify", "ward")
    assert done.returncode == 0, done.stderr
    dataset = MaskDataset(tmp_path / "out", "val")
    assert len(dataset.cases) == 3 and not dataset.class_set.attributes
    refused = prepare(tmp_path, *given)
    assert refused.returncode == 1 and "expected one named sex" in refused.stderr, "by which it deals then"


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
    assert "all polygons read as continuous (with fractions): 1 (chest3)" in done.stdout
    for name in ("train", "val", "test"):
        dataset = MaskDataset(tmp_path / "out", name)
        if "chest3" in dataset.cases:
            shape = dataset.load(dataset.cases.index("chest3")).shapes[
                dataset.class_set.classes.index("right_lung")
            ]
            np.testing.assert_allclose(shape.polygons[0], outline, atol=1e-4)
            assert shape.runs is None
