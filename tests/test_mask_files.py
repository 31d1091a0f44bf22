"""Found masks as files: run lengths in both conventions, votes, COCO, PNG, DICOM, measurements."""

import csv
import importlib.util
import json
import math
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pydicom
import pytest
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ComputedRadiographyImageStorage, ExplicitVRLittleEndian, generate_uid

from datasets.masks.coco_files import read_coco
from datasets.masks.mask_files import find_mask_files
from datasets.masks.raster import fill, pack
from tests.support.run_tool import run_tool
from tests.support.tiny_masks import CHEST, SIZE, chest_case
from util.prediction.masks.coco_records import write_coco
from util.prediction.masks.image_masks import ImageMasks
from util.prediction.masks.mask_pictures import write_class_pngs
from util.prediction.masks.measurements import COLUMNS, csv_text, measured
from util.prediction.masks.run_lengths import decode_rows, encode_rows, parse_runs, runs_to_text, vote
from util.prediction.masks.submission import Submission, faults, vote_files, write_submission

WIDTH, HEIGHT = SIZE


def found_of(number: int, spacing: float = 0.5) -> ImageMasks:
    masks = [shape.mask(SIZE) for shape in chest_case(number).shapes]
    return ImageMasks(pack(masks, SIZE, 1), 4, np.full(2, spacing))


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


def test_a_file_of_another_kind_is_told(tmp_path):
    (tmp_path / "s.csv").write_text("image,label\n")
    assert "expected image_name,class,rle" in next(faults(tmp_path / "s.csv", [], [], None))
    assert "no such file" in next(faults(tmp_path / "none.csv", [], [], None))


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
    assert write_coco(file, CHEST.classes, [(f"chest{n}.png", found_of(n)) for n in (0, 1)]) == 2
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
    for n in (0, 1):
        write_class_pngs(tmp_path / "png", f"chest{n}", found_of(n), CHEST.classes)
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
    write_coco(tmp_path / "f.json", CHEST.classes, [(f"chest{n}.png", found_of(n)) for n in (0, 1)])
    run("masks_to_rle", "--coco", tmp_path / "f.json", "--output", tmp_path / "t.csv")
    assert (tmp_path / "t.csv").read_text() == (tmp_path / "s.csv").read_text()
    with pytest.raises(ValueError, match="unknown class"):
        run("masks_to_rle", "--masks", tmp_path / "png", "--classes", "heart", "--output", tmp_path / "u.csv")
    assert not (tmp_path / "u.csv").exists()


def test_the_tools_run_as_people_run_them(tmp_path):
    (tmp_path / "images").mkdir()
    cv2.imwrite(str(tmp_path / "images" / "a.png"), np.arange(20, dtype=np.uint8).reshape(4, 5))
    file = written(tmp_path / "s.csv", "a.png,x,7 2 20 1")
    check = ("--images", tmp_path / "images", "--classes", "x", "--size", 5, 4)
    done = run_tool("tools/check_rle.py", file, *check)
    assert done.returncode == 0 and "sound" in done.stdout, done.stderr
    done = run_tool("tools/check_rle.py", written(tmp_path / "t.csv", "a.png,x,0 2"), *check)
    assert done.returncode == 1 and "a start of 0" in done.stderr and "Traceback" not in done.stderr
    done = run_tool("tools/vote_rle.py", file, file, "--output", tmp_path / "out.csv")
    assert done.returncode == 0 and (tmp_path / "out.csv").read_text() == file.read_text()


def rotated_box(length: float, width: float, degrees: float) -> np.ndarray:
    """(200, 200) mask of a rectangle, in pixels."""
    angle = math.radians(degrees)
    along, across = (
        np.array([math.cos(angle), math.sin(angle)]),
        np.array([-math.sin(angle), math.cos(angle)]),
    )
    corners = [
        100 + a * length / 2 * along + b * width / 2 * across for a, b in ((1, 1), (-1, 1), (-1, -1), (1, -1))
    ]
    return fill(np.array(corners), (200, 200))


@pytest.mark.parametrize("degrees", [0.0, 30.0, 90.0 - 1e-6, -60.0])
def test_length_and_width_follow_the_main_axis(degrees):
    masks = [rotated_box(120, 40, degrees), rotated_box(30, 20, degrees)]
    found = ImageMasks(pack(masks, (200, 200), 1), 2, np.array([0.5, 0.5]))
    bone, small = measured(found, ("bone", "small"))
    assert bone["length_mm"] == pytest.approx(60.0, abs=1.0) and bone["width_mm"] == pytest.approx(
        20.0, abs=1.0
    )
    assert bone["area_mm2"] == pytest.approx(1200.0, rel=0.01)
    assert abs((bone["angle_degrees"] - degrees + 90) % 180 - 90) < 1.0
    assert bone["center_x"] == pytest.approx(99.5, abs=0.1) and bone["center_y"] == pytest.approx(
        99.5, abs=0.1
    )
    assert small["overlap_px"] == small["area_px"] == bone["overlap_px"]
    assert small["overlaps"] == {"bone": 1.0} and bone["overlaps"]["small"] == pytest.approx(0.125, abs=0.01)


def test_measurements_take_pixels_that_are_not_square():
    """The box is 120 x 40 pixels along the axes: 0.2 mm wide pixels make it lie the other way round."""
    found = ImageMasks(pack([rotated_box(120, 40, 0.0)], (200, 200), 1), 1, np.array([0.2, 1.0]))
    (bone,) = measured(found, ("bone",))
    assert bone["length_mm"] == pytest.approx(40.0, abs=1.0) and bone["width_mm"] == pytest.approx(
        24.0, abs=0.5
    )
    assert abs(bone["angle_degrees"]) == pytest.approx(90.0)
    unknown = ImageMasks(found.planes, 1, np.full(2, np.nan))
    (bone,) = measured(unknown, ("bone",))
    assert bone["length_mm"] is None and bone["area_mm2"] is None and bone["area_px"] == 4800


def test_measurements_as_csv_leave_unknown_cells_empty():
    found = found_of(1, math.nan)
    rows = measured(found, CHEST.classes)
    assert [row["class"] for row in rows] == ["right_lung", "left_lung", "heart"], "no clavicle there"
    lines = list(csv.DictReader([",".join(COLUMNS), *csv_text(rows, "a, b.png", None).splitlines()]))
    assert (
        lines[0]["file"] == "a, b.png"
        and lines[0]["area_mm2"] == ""
        and lines[0]["area_px"] == str(rows[0]["area_px"])
    )
    assert lines[2]["overlaps"].split()[0].startswith("right_lung:")


def a_radiograph(file: Path) -> Path:
    """A computed radiograph of the size of the chests."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = ComputedRadiographyImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image = FileDataset(str(file), {}, file_meta=meta, preamble=b"\0" * 128)
    image.SOPClassUID, image.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    image.StudyInstanceUID, image.SeriesInstanceUID = generate_uid(), generate_uid()
    image.PatientID, image.PatientName, image.PatientBirthDate, image.PatientSex = "1", "A^B", "", ""
    image.AccessionNumber = image.StudyID = image.StudyDate = image.StudyTime = ""
    image.ReferringPhysicianName, image.Modality = "", "CR"
    image.SeriesNumber, image.InstanceNumber = 1, 1
    image.Rows, image.Columns, image.SamplesPerPixel = HEIGHT, WIDTH, 1
    image.PhotometricInterpretation = "MONOCHROME2"
    image.BitsAllocated = image.BitsStored = 8
    image.HighBit, image.PixelRepresentation = 7, 0
    image.ImagerPixelSpacing = [0.5, 0.5]
    image.PixelData = chest_case(0).image.tobytes()
    image.save_as(file, enforce_file_format=True)
    return file


def test_a_dicom_segmentation_holds_overlapping_segments(tmp_path):
    pytest.importorskip("highdicom")
    from util.prediction.masks.dicom_seg import write_dicom_seg

    source, file = a_radiograph(tmp_path / "a.dcm"), tmp_path / "seg.dcm"
    assert write_dicom_seg(file, source, found_of(1), CHEST.classes) == 3, "no clavicle, no segment"
    read = pydicom.dcmread(file)
    labels = [str(segment.SegmentLabel) for segment in read.SegmentSequence]
    assert labels == ["right_lung", "left_lung", "heart"] and read.Modality == "SEG"
    frames = read.pixel_array.astype(bool)
    order = [
        int(f.SegmentIdentificationSequence[0].ReferencedSegmentNumber)
        for f in read.PerFrameFunctionalGroupsSequence
    ]
    assert sorted(order) == [1, 2, 3] and (read.Rows, read.Columns) == (HEIGHT, WIDTH)
    for number, frame in zip(order, frames, strict=True):
        np.testing.assert_array_equal(frame, found_of(1).mask(number - 1))
    assert (frames.sum(0) >= 2).any(), "segments overlap"
    assert read.PatientID == "1"
    assert read.ReferencedSeriesSequence[0].SeriesInstanceUID == pydicom.dcmread(source).SeriesInstanceUID


def test_what_cannot_be_a_dicom_segmentation_is_refused(tmp_path):
    pytest.importorskip("highdicom")
    from util.prediction.masks.dicom_seg import write_dicom_seg

    (tmp_path / "a.png").write_bytes(b"no dicom")
    small = ImageMasks(np.ones((4, 5, 1), np.uint8), 1, np.ones(2))
    nothing = ImageMasks(np.zeros((HEIGHT, WIDTH, 1), np.uint8), 1, np.ones(2))
    source = a_radiograph(tmp_path / "a.dcm")
    for image, found, named in (
        (tmp_path / "a.png", small, "not a DICOM image"),
        (source, small, "5x4"),
        (source, nothing, "no structure was found"),
    ):
        with pytest.raises(ValueError, match=named):
            write_dicom_seg(tmp_path / "seg.dcm", image, found, ("x",))
        assert not (tmp_path / "seg.dcm").exists()
