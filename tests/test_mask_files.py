"""Found masks as files: run lengths in both conventions, votes, COCO, PNG."""

import csv
import importlib.util
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from datasets.files.image_files import SourceImage
from datasets.masks.coco_files import read_coco
from datasets.masks.mask_files import find_mask_files
from tests.support.run_tool import run_tool
from tests.support.tiny_masks import CHEST, SIZE, found_of
from util.prediction.masks.answer_files import coco_file, dicom_folder, png_folder
from util.prediction.masks.answers import MaskAnswers
from util.prediction.masks.run_lengths import decode_rows, encode_rows, parse_runs, runs_to_text, vote
from util.prediction.masks.submission import Submission, faults, vote_files, write_submission


def tool(name: str) -> Any:
    spec: Any = importlib.util.spec_from_file_location(name, Path(__file__).parents[1] / f"tools/{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run(name: str, *arguments: object) -> None:
    """A tool's main within this process, which has imported torch already."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [name, *map(str, arguments)])
        tool(name).main()


def write_found(answer_file: Any) -> None:
    """The structures of chests 0 and 1, by ``answer_file`` of ``answer_files``."""
    answers = MaskAnswers(CHEST, "synthetic")
    with answer_file as add:
        for n in (0, 1):
            found = found_of(n)
            image = np.zeros(SIZE[::-1], np.uint8)
            add(answers.record(SourceImage(image, found.spacing, Path(f"in/chest{n}.png"), None), found))


def test_the_run_lengths_of_the_task_by_hand():
    mask = np.zeros((4, 5), bool)
    mask[1, 1:3] = mask[3, 4] = True
    assert encode_rows(mask) == "7 2 20 1"
    assert encode_rows(np.ones((4, 5), bool)) == "1 20"
    assert encode_rows(np.zeros((4, 5), bool)) == ""
    np.testing.assert_array_equal(decode_rows("7 2 20 1", (5, 4)), mask)
    assert not decode_rows("", (5, 4)).any()


def test_run_lengths_come_back_and_are_what_the_teams_decoder_reads():
    rng = np.random.default_rng(0)
    for _ in range(40):
        mask = rng.random((rng.integers(1, 20), rng.integers(1, 20))) < rng.choice([0.05, 0.5, 0.95])
        text = encode_rows(mask)
        np.testing.assert_array_equal(decode_rows(text, mask.shape[::-1]), mask)
        flat = np.zeros(mask.size, bool)
        numbers = list(map(int, text.split()))
        for start, length in zip(numbers[::2], numbers[1::2], strict=True):
            flat[start - 1 : start - 1 + length] = True
        np.testing.assert_array_equal(flat.reshape(mask.shape), mask)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("0 5", "starts count from 1"),
        ("3", "pairs"),
        ("3 0", "length 0"),
        ("3 x", "'x'"),
        ("3 -1", "'-1'"),
        ("3 1.5", "'1.5'"),
        ("5 4 7 2", "share no pixel"),
        ("9 1 3 1", "ascending"),
        ("20 2", "pixel 21 of 20"),
        ("99999999999999999999 1", "expected whole numbers"),
        ("9223372036854775807 5", "expected whole numbers"),
    ],
)
def test_unsound_run_lengths_are_refused_with_the_reason(text, named):
    with pytest.raises(ValueError, match="a row") as refused:
        decode_rows(text, (5, 4), "a row")
    assert named in str(refused.value)


def test_runs_may_touch_and_reach_the_last_pixel():
    np.testing.assert_array_equal(decode_rows("1 3 4 17", (5, 4)), np.ones((4, 5), bool))


def test_a_submission_has_every_row_and_reads_back(tmp_path):
    file = tmp_path / "s.csv"
    images = [(f"chest{n}.png", found_of(n).masks()) for n in (0, 1)]
    assert write_submission(file, CHEST.classes, images) == 8
    with file.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert list(rows[0]) == ["image_name", "class", "rle"] and len(rows) == 8
    assert rows[7] == {"image_name": "chest1.png", "class": "clavicle", "rle": ""}
    submission = Submission(file)
    for n in (0, 1):
        for name, mask in zip(CHEST.classes, found_of(n).masks(), strict=True):
            np.testing.assert_array_equal(decode_rows(submission.text(f"chest{n}.png", name), SIZE), mask)
    assert list(faults(file, ["chest0.png", "chest1.png"], CHEST.classes, SIZE)) == []


def written(file: Path, *rows: str) -> Path:
    file.write_text("\n".join(["image_name,class,rle", *rows]) + "\n")
    return file


@pytest.mark.parametrize(
    ("rows", "named"),
    [
        (["a.png,x,1 2"], "1 rows missing"),
        (["a.png,x,1 2", "a.png,y,", "b.png,x,1 1"], "1 rows not asked for"),
        (["a.png,x,0 2", "a.png,y,"], "a start of 0"),
        (["a.png,x,1 99", "a.png,y,"], "ends at pixel 99 of 20"),
        (["a.png,x,1 2", "a.png,x,1 2", "a.png,y,"], "a second row"),
        (["a.png,x", "a.png,y,"], "2 cells"),
    ],
)
def test_faults_of_a_submission_are_told(tmp_path, rows, named):
    found = list(faults(written(tmp_path / "s.csv", *rows), ["a.png"], ["x", "y"], (5, 4)))
    assert len(found) == 1 and named in found[0]


def test_a_file_of_other_classes_is_told_what_to_name(tmp_path):
    found = list(faults(written(tmp_path / "s.csv", "a.png,heart,1 2"), ["a.png"], ["x"], (5, 4)))
    assert len(found) == 3 and found[-1].endswith("Name them: --classes A B ...")


def test_a_file_of_another_kind_is_told(tmp_path):
    (tmp_path / "s.csv").write_text("image,label\n")
    assert "expected image_name,class,rle" in next(faults(tmp_path / "s.csv", [], [], None))
    assert "no such file" in next(faults(tmp_path / "none.csv", [], [], None))


def test_a_file_in_which_every_cell_is_quoted_is_sound(tmp_path):
    text = '"image_name","class","rle"\r\n"a.png","Radius","1 2"\r\n"a.png","Ulna",""\r\n'
    (tmp_path / "s.csv").write_text(text, encoding="utf-8-sig", newline="")
    assert not list(faults(tmp_path / "s.csv", ["a.png"], ["Radius", "Ulna"], (2, 1)))


def test_votes_are_those_of_the_masks():
    rng = np.random.default_rng(1)
    for _ in range(40):
        masks = rng.random((4, 12, 9)) < 0.5
        weights = rng.uniform(0.5, 3.0, 4)
        rows = [parse_runs(encode_rows(mask), None, "") for mask in masks]
        for share in (0.0, 0.5, 0.8):
            expected = np.tensordot(weights, masks, 1) > share * weights.sum()
            text = runs_to_text(*vote(rows, weights.tolist(), share))
            np.testing.assert_array_equal(decode_rows(text, (9, 12)), expected)
            small = [weight * 1e-12 for weight in weights.tolist()]
            assert runs_to_text(*vote(rows, small, share)) == text, "weights count against each other alone"


def test_a_tie_is_no_majority_and_an_empty_row_votes_against(tmp_path):
    one = written(tmp_path / "1.csv", "a.png,x,1 4", "a.png,y,")
    two = written(tmp_path / "2.csv", "a.png,y,", "a.png,x,3 4")  # rows in another order
    three = written(tmp_path / "3.csv", "a.png,x,", "a.png,y,5 1")
    assert vote_files([one, two], tmp_path / "out.csv") == 2
    assert Submission(tmp_path / "out.csv").text("a.png", "x") == "3 2", "where both agree"
    vote_files([one, two, three], tmp_path / "out.csv")
    assert Submission(tmp_path / "out.csv").text("a.png", "x") == "3 2"
    assert Submission(tmp_path / "out.csv").text("a.png", "y") == "", "one of three does not win"
    vote_files([one, two, three], tmp_path / "out.csv", weights=[3, 1, 1])
    assert Submission(tmp_path / "out.csv").text("a.png", "x") == "1 4"
    vote_files([one, two, three], tmp_path / "out.csv", share=0.0)
    assert Submission(tmp_path / "out.csv").text("a.png", "x") == "1 6", "any voter"


def test_votes_that_make_no_sense_are_refused(tmp_path):
    one = written(tmp_path / "1.csv", "a.png,x,1 4")
    two = written(tmp_path / "2.csv", "a.png,y,1 4")
    for files, options, named in (
        ([one, two], {}, "rows in only one"),
        ([one], {}, "two files or more"),
        ([one, one], {"weights": [1.0]}, "one positive weight each"),
        ([one, one], {"weights": [1.0, -1.0]}, "one positive weight each"),
        ([one, one], {"weights": [1.0, float("inf")]}, "one positive weight each"),
        ([one, one], {"share": 1.0}, "share 1.0"),
        ([one, one], {"size": (1, 3)}, "pixel 4 of 3"),
    ):
        with pytest.raises(ValueError, match=named):
            vote_files(files, tmp_path / "out.csv", **options)
        assert not (tmp_path / "out.csv").exists()


def test_a_vote_holds_one_row_in_memory(tmp_path):
    """Rows of a million runs each: what is kept of the files does not grow with them."""
    import tracemalloc

    text = " ".join(f"{start} 1" for start in range(1, 200_000, 2))
    rows = [f"{n}.png,x,{text}" for n in range(12)]
    files = [written(tmp_path / f"{k}.csv", *rows) for k in range(2)]
    tracemalloc.start()
    vote_files(files, tmp_path / "out.csv")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 40 * len(text), f"{peak / len(text):.0f} times a row"
    assert sum(map(len, rows)) * 2 > 20 * len(text)


def test_coco_files_come_back(tmp_path):
    file = tmp_path / "found.json"
    write_found(coco_file(file, CHEST.classes))
    classes, annotations = read_coco(file)
    assert classes == CHEST.classes
    for n in (0, 1):
        for name, mask in zip(classes, found_of(n).masks(), strict=True):
            masks = annotations[f"chest{n}"].masks
            np.testing.assert_array_equal(masks.get(name, np.zeros_like(mask)), mask)
    entry = json.loads(file.read_text())["annotations"][0]
    assert entry["area"] == found_of(0).mask(0).sum()
    flat = found_of(0).mask(0)
    rows, columns = flat.nonzero()
    assert entry["bbox"] == [columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1]


def test_pictures_come_back_as_run_lengths(tmp_path):
    write_found(png_folder(tmp_path / "png", CHEST.classes))
    assert set(find_mask_files(tmp_path / "png")) == set(CHEST.classes)
    picture = cv2.imread(str(tmp_path / "png" / "heart" / "chest0.png"), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(picture == 255, found_of(0).mask(2))
    run(
        "masks_to_rle",
        "--masks",
        tmp_path / "png",
        "--classes",
        *CHEST.classes,
        "--output",
        tmp_path / "s.csv",
    )
    submission = Submission(tmp_path / "s.csv")
    assert len(submission.keys) == 8
    np.testing.assert_array_equal(
        decode_rows(submission.text("chest1.png", "heart"), SIZE), found_of(1).mask(2)
    )
    write_found(coco_file(tmp_path / "f.json", CHEST.classes))
    run("masks_to_rle", "--coco", tmp_path / "f.json", "--output", tmp_path / "t.csv")
    assert (tmp_path / "t.csv").read_text() == (tmp_path / "s.csv").read_text()
    with pytest.raises(ValueError, match="unknown class"):
        run("masks_to_rle", "--masks", tmp_path / "png", "--classes", "heart", "--output", tmp_path / "u.csv")
    assert not (tmp_path / "u.csv").exists()


def test_what_is_mended_on_the_way_to_run_lengths_is_named(tmp_path, capsys):
    """Masks of another size than asked for are scaled, and outlines cut off: never without a word."""
    write_found(png_folder(tmp_path / "png", CHEST.classes))
    larger = [2 * side for side in SIZE]
    run("masks_to_rle", "--masks", tmp_path / "png", "--size", *larger, "--output", tmp_path / "s.csv")
    assert "scaled from 96x80 to 192x160: 2 (chest0, chest1)" in capsys.readouterr().out
    image = {"id": 1, "file_name": "a.png", "width": 8, "height": 6}
    outline = {"id": 1, "image_id": 1, "category_id": 1, "segmentation": [[2, 2, 20, 2, 20, 5, 2, 5]]}
    content = {"images": [image], "annotations": [outline], "categories": [{"id": 1, "name": "x"}]}
    (tmp_path / "f.json").write_text(json.dumps(content))
    run("masks_to_rle", "--coco", tmp_path / "f.json", "--output", tmp_path / "t.csv")
    assert "reaches beyond the image, cut off: 1 (a: x)" in capsys.readouterr().out


def test_what_was_written_is_compared_with_the_masks(tmp_path, monkeypatch):
    write_found(coco_file(tmp_path / "f.json", CHEST.classes))
    told = decode_rows
    monkeypatch.setattr(
        "util.prediction.masks.run_lengths.decode_rows", lambda text, size: np.roll(told(text, size), 1)
    )
    with pytest.raises(ValueError, match=r"s\.csv: chest0\.png, .*not the mask that was written"):
        run("masks_to_rle", "--coco", tmp_path / "f.json", "--output", tmp_path / "s.csv")


def test_pictures_of_one_name_in_two_folders_are_kept_apart(tmp_path):
    answers = MaskAnswers(CHEST, "synthetic")
    with png_folder(tmp_path / "png", CHEST.classes) as add:
        for folder, n in (("a", 0), ("b", 1)):
            image = SourceImage(np.zeros(SIZE[::-1], np.uint8), np.ones(2), Path(folder, "x.png"), None)
            add(answers.record(image, found_of(n)))
    for name, n in (("x", 0), ("x_2", 1)):
        picture = cv2.imread(str(tmp_path / "png" / "heart" / f"{name}.png"), cv2.IMREAD_UNCHANGED)
        np.testing.assert_array_equal(picture == 255, found_of(n).mask(2))


def test_images_of_one_name_are_not_checked_as_one(tmp_path):
    for side, folder in ((4, "ID001"), (8, "ID002")):
        (tmp_path / folder).mkdir()
        cv2.imwrite(str(tmp_path / folder / "a.png"), np.zeros((side, side), np.uint8))
    file = written(tmp_path / "s.csv", "a.png,x,40 2")
    with pytest.raises(ValueError, match=r"ID001/a\.png and .*ID002/a\.png share the name a\.png"):
        run("check_rle", file, "--images", tmp_path, "--classes", "x")


def test_masks_of_an_earlier_run_do_not_stay(tmp_path):
    """Of images that are no longer looked at, of another model's classes, of what is no longer found."""
    png, seg = tmp_path / "png", tmp_path / "seg"
    for old in (png / "heart" / "old.png", png / "Radius" / "old.png", seg / "chest0.dcm"):
        old.parent.mkdir(parents=True, exist_ok=True)
        old.touch()
    (png / "notes.txt").touch()
    write_found(png_folder(png, CHEST.classes))
    assert set(find_mask_files(png)) == set(CHEST.classes)
    assert sorted(file.name for file in (png / "heart").iterdir()) == ["chest0.png", "chest1.png"]
    assert (png / "notes.txt").is_file(), "not ours"
    nothing = replace(found_of(0), planes=np.zeros_like(found_of(0).planes))
    image = SourceImage(np.zeros(SIZE[::-1], np.uint8), nothing.spacing, Path("in/chest0.dcm"), None)
    with dicom_folder(seg) as add:
        add(MaskAnswers(CHEST, "synthetic").record(image, nothing))
    assert not list(seg.iterdir())


def test_the_tools_run_as_people_run_them(tmp_path):
    (tmp_path / "images").mkdir()
    cv2.imwrite(str(tmp_path / "images" / "a.png"), np.arange(20, dtype=np.uint8).reshape(4, 5))
    file = written(tmp_path / "s.csv", "a.png,x,7 2 20 1")
    check = ("--images", tmp_path / "images", "--classes", "x", "--size", 5, 4)
    done = run_tool("tools/check_rle.py", file, *check)
    assert done.returncode == 0 and "sound" in done.stdout, done.stderr
    done = run_tool("tools/check_rle.py", written(tmp_path / "t.csv", "a.png,x,0 2"), *check)
    assert done.returncode == 1 and "a start of 0" in done.stderr and "Traceback" not in done.stderr
    done = run_tool("tools/check_rle.py", written(tmp_path / "t.csv", "a.png,x,20 2"), *check[:4])
    assert done.returncode == 1 and "ends at pixel 21 of 20" in done.stderr, "of the image's own size"
    done = run_tool("tools/vote_rle.py", file, file, "--output", tmp_path / "out.csv")
    assert done.returncode == 0 and (tmp_path / "out.csv").read_text() == file.read_text()
