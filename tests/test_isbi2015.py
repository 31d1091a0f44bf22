"""ISBI 2015 from the published layout, on synthetic images, and on the real ones where they are."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datasets.landmarks import isbi2015
from datasets.prepared.prepared import PreparedDataset
from measurements.shapes import LandmarkShapes
from tests.support.run_tool import run_tool
from util.prediction.landmarks.measuring import shapes_of

SIZE = (97, 120)  # width, height
CODES = "1\n1\n3\n2\n"  # classification codes follow the landmarks in the published files


def labels_of(case: str, doctor: str) -> np.ndarray:
    """(19, 2) whole pixels in the index convention."""
    rng = np.random.default_rng([int(case), len(doctor), ord(doctor[0])])
    return rng.integers(0, SIZE, (19, 2))


def add_case(source: Path, folder: str, case: str, suffix: str) -> None:
    image = source / "RawImage" / folder / f"{case}{suffix}"
    image.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(int(case)).integers(0, 256, SIZE[::-1], np.uint8)).convert(
        "RGB"
    ).save(image)
    for doctor in ("senior", "junior"):
        file = source / "AnnotationsByMD" / f"400_{doctor}" / f"{case}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("".join(f"{x},{y}\n" for x, y in labels_of(case, doctor)) + CODES)


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "published"
    for case in ("001", "002", "003", "004", "005"):
        add_case(folder, "TrainingData", case, ".bmp")
    add_case(folder, "Test1Data", "151", ".jpg")
    add_case(folder, "Test1Data", "300", ".png")
    return folder


def test_the_script_prepares_the_published_layout(source, tmp_path):
    out = tmp_path / "prepared"
    done = run_tool(
        "tools/prepare_isbi2015.py", "--source", source, "--output", out, "--val", 2, "--size", 60
    )
    assert done.returncode == 0, done.stderr
    assert "Test2Data: absent" in done.stdout and "TrainingData: 5 of 150" in done.stdout
    split = json.loads((out / "dataset.json").read_text())["split"]
    assert {name: len(cases) for name, cases in split.items()} == {"train": 3, "val": 2, "test": 2}
    assert sorted(split["train"] + split["val"]) == ["001", "002", "003", "004", "005"]
    test = PreparedDataset(out, "test")
    assert test.cases == ("151", "300") and test.labels == "mean" and test.landmark_set == isbi2015.LANDMARKS
    for index, case in enumerate(test.cases):
        sample = test.load(index)
        ratio = np.array(sample.size) / SIZE
        mean = (labels_of(case, "senior") + labels_of(case, "junior")) / 2
        assert max(sample.size) == 60
        assert np.allclose(sample.points, (mean + 0.5) * ratio, atol=1e-4)
        assert np.allclose(sample.spacing * ratio, 0.1)


def test_both_doctors_say_which_way_landmarks_are_unsure(source, tmp_path):
    for case in range(6, 13):
        add_case(source, "TrainingData", f"{case:03d}", ".bmp")
    for labels in ("mean", "senior"):
        options = ("--output", tmp_path / labels, "--labels", labels, "--val", 2)
        done = run_tool("tools/prepare_isbi2015.py", "--source", source, *options)
        assert done.returncode == 0, done.stderr
    assert PreparedDataset(tmp_path / "senior", "train").landmark_shapes is None
    carried = PreparedDataset(tmp_path / "mean", "test").landmark_shapes
    assert carried["source"] == "the two doctors on 12 X-rays"  # none of test
    assert LandmarkShapes.from_dict(carried, "dataset.json").names == isbi2015.LANDMARKS.abbreviations
    assert shapes_of({"landmark_shapes": carried}, "best.pt").source == carried["source"]


def test_every_source_file_is_recorded_with_its_hash(source, tmp_path):
    out = tmp_path / "prepared"
    done = run_tool(
        "tools/prepare_isbi2015.py", "--source", source, "--output", out, "--val", 0, "--labels", "junior"
    )
    assert done.returncode == 0, done.stderr
    header = json.loads((out / "dataset.json").read_text())
    assert set(header["split"]) == {"train", "test"} and header["labels"] == "junior"
    files = header["source_files"]
    assert len(files) == 14 and all(len(value) == 64 for value in files.values())
    assert "RawImage/TrainingData/001.bmp" in files and "AnnotationsByMD/400_junior/300.txt" in files


def test_a_bad_annotation_stops_the_script_by_name_and_leaves_nothing(source, tmp_path):
    (source / "AnnotationsByMD/400_junior/300.txt").write_text("1,1\n" * 18)
    out = tmp_path / "prepared"
    done = run_tool("tools/prepare_isbi2015.py", "--source", source, "--output", out, "--val", 1)
    assert done.returncode == 1
    assert "400_junior/300.txt: 18 lines" in done.stderr and "Traceback" not in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["published"]


@pytest.mark.parametrize("labels", ["senior", "junior", "mean"])
def test_labels_are_those_asked_for_at_full_size(source, labels):
    images = isbi2015.find_image_sets(source)["TrainingData"]
    case = next(isbi2015.read_cases(source, images, ["003"], labels))
    doctors = {"mean": ["senior", "junior"]}.get(labels, [labels])
    expected = np.mean([labels_of("003", doctor) for doctor in doctors], axis=0) + 0.5
    assert np.array_equal(case.points, expected) and case.image.shape == SIZE[::-1]
    assert np.array_equal(case.image, np.asarray(Image.open(images["003"]).convert("L")))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("12;30", "'12;30', expected two numbers"),
        ("12,nan", "finite"),
        ("97,3", "x=97, y=3"),
        ("-1,3", "x=-1"),
    ],
)
def test_bad_lines_are_named(source, line, message):
    file = source / "AnnotationsByMD/400_senior/002.txt"
    file.write_text("\n".join([line] + ["5,5"] * 18))
    images = isbi2015.find_image_sets(source)["TrainingData"]
    with pytest.raises(ValueError, match=f"002.txt.*{message}"):
        next(isbi2015.read_cases(source, images, ["002"], "senior"))


def test_a_folder_without_any_set_says_what_is_expected(tmp_path):
    with pytest.raises(ValueError, match="RawImage/TrainingData"):
        isbi2015.find_image_sets(tmp_path)


def test_images_that_do_not_belong_are_named(source):
    add_case(source, "TrainingData", "151", ".bmp")
    with pytest.raises(ValueError, match=r"151.bmp: expected a name from 001 to 150"):
        isbi2015.find_image_sets(source)


def test_an_image_that_comes_twice_is_named(source):
    add_case(source, "TrainingData", "002", ".jpg")
    with pytest.raises(ValueError, match="002.jpg: case 002 is also 002.bmp"):
        isbi2015.find_image_sets(source)


def test_notes_beside_the_images_are_no_images(source):
    (source / "RawImage/TrainingData/readme.txt").write_text("about")
    assert len(isbi2015.find_image_sets(source)["TrainingData"]) == 5


@pytest.mark.parametrize("num_val", [-1, 5, 6])
def test_a_hold_out_that_leaves_no_training_image_is_refused(source, num_val):
    with pytest.raises(ValueError, match="expected 0 to 4"):
        isbi2015.assign_splits(isbi2015.find_image_sets(source), num_val, seed=0)


@pytest.mark.real_data
def test_real_images(tmp_path):
    if "CEPHDETR_REAL_DATA" not in os.environ:
        pytest.skip("CEPHDETR_REAL_DATA is not set: the folder that holds isbi2015/")
    real, source = Path(os.environ["CEPHDETR_REAL_DATA"]) / "isbi2015", tmp_path / "published"
    for folder, case in (("TrainingData", "001"), ("TrainingData", "150"), ("Test1Data", "151")):
        image = next((real / "RawImage" / folder).glob(f"{case}.*"))
        (source / "RawImage" / folder).mkdir(parents=True, exist_ok=True)
        (source / "RawImage" / folder / image.name).symlink_to(image)
    (source / "AnnotationsByMD").symlink_to(real / "AnnotationsByMD")
    out = tmp_path / "prepared"
    done = run_tool(
        "tools/prepare_isbi2015.py", "--source", source, "--output", out, "--val", 1, "--size", 512
    )
    assert done.returncode == 0, done.stderr
    sample = PreparedDataset(out, "test").load(0)
    assert sample.size == (413, 512)
    assert np.allclose(sample.spacing * sample.size, [193.5, 240.0])  # mm of film, 1935x2400 at 0.1 mm
    doctors = [
        np.loadtxt(real / f"AnnotationsByMD/400_{d}/151.txt", delimiter=",", max_rows=19)
        for d in ("senior", "junior")
    ]
    assert np.allclose(sample.points * sample.spacing, (np.mean(doctors, 0) + 0.5) * 0.1, atol=1e-4)
