"""Masks through every script, as users run them, on a tiny model and a handful of tiny chests."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest

from tests.support.radiograph import a_radiograph
from tests.support.run_scripts import Ended, run_scripts
from tests.support.tiny_masks import CHEST, chest_case, write_chests

CONFIG = "configs/masks/smoke.py"
CLASSES = [*CHEST.classes, "mean"]
pytestmark = pytest.mark.slow

LEARNS = ["train.iterations=30", "train.eval_every=30", "optimizer.lr=0.003", "train.ema_decay=0.8"]


def read(file: Path) -> Any:
    return json.loads(file.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Ended]]:
    """The folder with everything that the scripts wrote, and how they ended."""
    folder = tmp_path_factory.mktemp("masks")
    data = write_chests(folder / "data")
    checkpoint, image = folder / "run" / "best.pt", data / "images" / "chest10.png"
    scan = a_radiograph(folder / "chest10.dcm", chest_case(10).image)
    given = ["--checkpoint", checkpoint]
    test = ["test.py", *given, "--workers", 0]
    run = ["main.py", "--config-file", CONFIG, f"data.folder={data}", f"train.output_dir={folder / 'run'}"]
    heads = ["model.attribute_values=[2]", "criterion.attribute_weight=0.1", "train.encoder_lr=0.001"]
    inference = ["inference.py", "--input", image, "--spacing", 0.5]
    export = ["tools/pytorch2onnx.py", *given]
    benchmark = ["tools/benchmark_model.py", *given, "--size", 64, 64, "--repeats", 2]
    pictures = ["tools/visualize_datasets.py", "--config-file", CONFIG, "--data", data, "--count", 1]
    calls = [
        [*run, *LEARNS, *heads],
        [*test, "--json", folder / "test.json", "--report", folder / "report.html"],
        [*test, "--flip", "--scales", 1, 1.5, "--json", folder / "looks.json"],
        [*inference, *given, "--rle", "--coco", "--png", "--output", folder / "found.json"],
        [*export, "--output", folder / "small.onnx"],
        [*export, "--uint8", "--output", folder / "bytes.onnx"],
        [*inference, "--checkpoint", folder / "small.onnx", "--output", folder / "small.json"],
        [*inference, "--checkpoint", folder / "bytes.onnx", "--output", folder / "bytes.json"],
        [*benchmark, "--json", folder / "speed.json"],
        ["inference.py", *given, "--input", scan, "--dicom-seg", "--output", folder / "scan.json"],
        ["tools/visualize_model.py", *given, "--input", image, "--show-dir", folder / "pictures"],
        [*pictures, "--show-dir", folder / "data_pictures"],
    ]
    return folder, run_scripts(calls)


def test_every_script_ends_well(ran) -> None:
    for ended in ran[1]:
        assert ended.returncode == 0, ended.stderr[-3000:] + ended.stdout[-500:]


def test_the_numbers_stand_at_the_top_by_class(ran) -> None:
    results = read(ran[0] / "test.json")
    for name in ("dice", "iou", "assd_mm"):
        assert list(results[name]) == CLASSES
    assert 0.0 < results["dice"]["right_lung"] <= 1.0 and results["num_images"] == 4
    means = [results["dice"][name] for name in CHEST.classes]
    assert results["dice"]["mean"] == pytest.approx(np.mean(means))
    assert results["thresholds"].keys() == set(CHEST.classes)
    looks = read(ran[0] / "looks.json")
    assert looks["test_time"]["flip"] is True and looks["dice"] != results["dice"]
    assert "<img" in (ran[0] / "report.html").read_text()


def test_attributes_are_told_by_every_script(ran) -> None:
    """test.py and inference.py, the checkpoint and the graphs made of it, say the same of an image."""
    folder = ran[0]
    sex = read(folder / "test.json")["attributes"]["sex"]
    index = read(folder / "test.json")["cases"].index("chest10")
    assert sex["num_known"] == 4 and sex["true"][index] == "male" and 0.0 <= sex["accuracy"] <= 1.0
    assert read(folder / "looks.json")["attributes"]["sex"]["probability"] != sex["probability"]
    assert "Attributes of the image" in (folder / "report.html").read_text()
    for name in ("found", "small", "bytes"):
        told = read(folder / f"{name}.json")["images"][0]["attributes"]["sex"]
        assert told["value"] == sex["found"][index]
        assert told["probability"] == pytest.approx(sex["probability"][index], abs=1e-3)
        with (folder / f"{name}_attributes.csv").open() as stream:
            assert [row["value"] for row in csv.DictReader(stream)] == [told["value"]]


def test_inference_finds_what_the_evaluation_found(ran) -> None:
    """The areas of one image, and the numbers of the same image, by two ways through the code."""
    folder = ran[0]
    results, found = read(folder / "test.json"), read(folder / "found.json")
    index = results["cases"].index("chest10")
    areas = [entry["area_px"] for entry in found["images"][0]["masks"]]
    np.testing.assert_allclose(areas, results["per_case"]["predicted_area"][index], atol=2)
    with (folder / "found_rle.csv").open() as stream:
        runs = [row["rle"] for row in csv.DictReader(stream)]
    assert [sum(map(int, text.split()[1::2])) for text in runs] == areas
    assert len(list((folder / "found_png").rglob("*.png"))) == len(CHEST)
    annotations = read(folder / "found_coco.json")["annotations"]
    assert [entry["area"] for entry in annotations] == [area for area in areas if area]


def test_a_segmentation_of_a_picture_is_a_failure_of_that_file(ran, tmp_path) -> None:
    folder, output = ran[0], tmp_path / "found.json"
    given = ["inference.py", "--checkpoint", folder / "run" / "best.pt", "--dicom-seg", "--output", output]
    (ended,) = run_scripts([[*given, "--input", folder / "data" / "images" / "chest10.png"]])
    assert ended.returncode == 1 and "Traceback" not in ended.stderr
    assert "not a DICOM image" in read(output)["failed"][0]["error"] and not read(output)["images"]


def test_a_dicom_image_gets_a_segmentation(ran) -> None:
    folder = ran[0]
    found = {entry["class"]: entry for entry in read(folder / "scan.json")["images"][0]["masks"]}
    written = pydicom.dcmread(folder / "scan_seg" / "chest10.dcm")
    names = [str(segment.SegmentLabel) for segment in written.SegmentSequence]
    assert names == [name for name in CHEST.classes if found[name]["area_px"]] and len(names) > 1
    pixels = written.pixel_array.reshape(len(names), -1).sum(1).tolist()
    assert pixels == [found[name]["area_px"] for name in names]


def test_graphs_find_what_the_model_finds(ran) -> None:
    folder = ran[0]
    model, small, small_bytes = (
        np.array([entry["area_px"] for entry in read(folder / f"{name}.json")["images"][0]["masks"]])
        for name in ("found", "small", "bytes")
    )
    np.testing.assert_allclose(small, model, atol=2)
    np.testing.assert_allclose(small_bytes, model, atol=30)  # a probability at the threshold, to 1/255


def test_a_checkpoint_carries_its_thresholds(ran) -> None:
    from util.checkpoints.checkpoint import load_checkpoint, load_model

    checkpoint = load_checkpoint(ran[0] / "run" / "best.pt")
    model = load_model(ran[0] / "run" / "best.pt").model
    assert len(checkpoint["thresholds"]) == len(CHEST)
    np.testing.assert_allclose(model.thresholds.numpy(), checkpoint["thresholds"])


def test_what_does_not_fit_is_refused_in_one_sentence(ran, tmp_path) -> None:
    folder = ran[0]
    common = ["main.py", "--config-file", CONFIG, f"data.folder={folder / 'data'}"]
    calls = [
        [*common, f"train.output_dir={tmp_path / 'a'}", "model.attribute_values=[2,3]"],
        [*common, f"train.output_dir={tmp_path / 'b'}", "criterion.losses={dise: 1.0}"],
        ["test.py", "--checkpoint", folder / "run" / "best.pt", "--threshold", 1.5, "--workers", 0],
    ]
    messages = ("how many values each has", "did you mean 'dice'", "above 0 and below 1")
    for ended, message in zip(run_scripts(calls), messages, strict=True):
        assert ended.returncode != 0 and message in ended.stderr and "Traceback" not in ended.stderr
