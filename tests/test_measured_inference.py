"""inference.py --analysis: what is found is measured in the same go; and what a checkpoint carries for it."""

import argparse
import json
import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from datasets.files.image_files import SourceImage
from datasets.landmarks.landmark_set import load_landmark_set
from datasets.landmarks.meaning import LandmarkMeaning
from measurements.analysis import load_analysis
from measurements.norm import Patient
from measurements.shapes import shipped_shapes
from tasks.landmarks import LandmarkTask
from tests.support.faces import E2
from tests.support.mean_shape_model import write_mean_shape_checkpoint
from tests.support.rulers import film, with_teeth
from tests.support.run_script import run_trusting
from tests.support.smoke_checkpoint import write_smoke_checkpoint
from util.prediction.landmarks.answers import LandmarkAnswers
from util.prediction.landmarks.image_landmarks import ImageLandmarks
from util.prediction.landmarks.measured import (
    MeasuredAnswers,
    add_measurement_arguments,
    measurement_settings,
    measurer_of,
    require_use,
)
from util.prediction.landmarks.measuring import Measurer, shapes_of
from util.prediction.landmarks.posed import Posed
from util.prediction.landmarks.test_time import Ensemble
from util.prediction.predictor import load_predictor

CL38 = load_landmark_set("cl38")


def measurer(*analyses: str) -> Measurer:
    return Measurer(CL38, [load_analysis(name) for name in analyses], Patient(), shipped_shapes())


def values(analysis: dict) -> dict[str, float | None]:
    return {record["code"]: record["value"] for record in analysis["measurements"]}


def test_a_checkpoint_carries_the_shapes_of_its_readers() -> None:
    carried = shipped_shapes().to_dict() | {"source": "two readers"}
    kept = LandmarkMeaning(CL38, "mean", carried).to_dict()
    again = LandmarkMeaning.from_dict(kept, "best.pt")
    assert again.landmark_shapes == carried and shapes_of(kept, "best.pt").source == "two readers"
    assert "landmark_shapes" not in LandmarkMeaning(CL38, "mean").to_dict()


def test_a_landmark_file_hands_the_shapes_of_its_checkpoint_on(tmp_path: Path) -> None:
    carried = shipped_shapes().to_dict() | {"source": "two readers"}
    file = write_smoke_checkpoint(tmp_path / "model.pt", CL38)
    torch.save(torch.load(file, weights_only=True) | {"landmark_shapes": carried}, file)
    predictor = load_predictor(file, "cpu")
    for one in (predictor, Posed(predictor, None, search=False), Ensemble([predictor])):
        assert shapes_of(one.answers.about(), "landmarks.json").source == "two readers"
    assert "landmark_shapes" not in LandmarkAnswers(CL38, "mean").about()


def test_inference_measures_what_it_finds(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    answers = MeasuredAnswers(CL38, "mean", measurer("steiner", "wits"))
    image = SourceImage(np.zeros((800, 600), np.uint8), np.full(2, 0.5), Path("x.png"), None, "--spacing")
    found = ImageLandmarks(E2 / 0.5 + 0.5, np.full(38, 2.0), np.full(38, 1.0))
    record = answers.record(image, found)
    assert [one["analysis"] for one in record["analyses"]] == ["steiner", "wits"]
    assert values(record["analyses"][0])["SNA"] == pytest.approx(81.9276, abs=6e-5)
    assert answers.about()["measurements"]["analyses"][1]["name"] == "wits"
    flat = ImageLandmarks(np.full((38, 2), 5.0), np.full(38, 2.0), np.full(38, 1.0))
    without = answers.record(image, flat)
    assert without["analyses"] == [] and without["not_measured"].startswith("x.png: nothing of")
    for images, said in (([record], False), ([record, without], True)):
        answers.write(tmp_path / "l.json", model=answers.about(), left_out={}, images=images, failed=[])
        assert ("1 of 2 images could not be measured: see not_measured" in caplog.text) == said


def test_a_run_goes_on_only_with_the_same_content_of_an_analysis(tmp_path: Path) -> None:
    own = tmp_path / "own.json"
    parser = argparse.ArgumentParser()
    add_measurement_arguments(parser)
    args = parser.parse_args(["--analysis", "tweed", str(own)])
    own.write_text("one recipe")
    begun = measurement_settings(args)
    assert begun == measurement_settings(args)
    own.write_text("another")
    assert begun != measurement_settings(args)


def test_arguments_of_measurements() -> None:
    parser = argparse.ArgumentParser()
    add_measurement_arguments(parser)
    args = parser.parse_args(["--analysis", "tweed", "--age", "12", "--scale-error", "3"])
    made = measurer_of(args, CL38, shipped_shapes())
    assert made.scale_error == 0.03 and made.patient == Patient(age=12.0)
    assert measurement_settings(args)["analysis"] == ["tweed"]
    for wrong in (["--scale-error", "100"], ["--age", "nan"], ["--age", "-3"], ["--age", "1987"]):
        with pytest.raises(SystemExit):
            parser.parse_args(wrong)


@pytest.mark.parametrize(
    "words", [["--age", "0"], ["--sex", "male"], ["--population", "x"], ["--scale-error", "5"]]
)
def test_what_only_measurements_use_needs_an_analysis(words: list[str]) -> None:
    parser = argparse.ArgumentParser()
    add_measurement_arguments(parser)
    predictor = argparse.Namespace(file=Path("x.pt"), landmark_set=CL38)
    args = argparse.Namespace(**vars(parser.parse_args(words)), orientation="as-is")
    with pytest.raises(ValueError, match=f"{words[0]}: .* Add --analysis"):
        LandmarkTask().inferring(predictor, args)
    require_use(parser.parse_args([*words, "--analysis", "tweed"]))
    require_use(parser.parse_args(["--ruler", "10"]))


def test_the_script_measures_by_a_ruler(tmp_path: Path) -> None:
    shape = torch.tensor(E2 / [300.0, 400.0], dtype=torch.float32)
    checkpoint = write_mean_shape_checkpoint(
        tmp_path / "best.pt", shape, CL38, size=(128, 96), folder=tmp_path
    )
    (tmp_path / "films").mkdir()
    marked = with_teeth(film(), 18.0)
    for name, picture in (("ruler", marked), ("none", film())):
        cv2.imwrite(str(tmp_path / "films" / f"{name}.png"), cv2.resize(picture, (600, 800)))

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        told = (
            "--checkpoint",
            checkpoint,
            "--input",
            tmp_path / "films",
            "--output",
            tmp_path / "found.json",
        )
        return run_trusting("inference.py", *told, *arguments)

    pitch_mm = 18.0 * 800 / 700 * 0.5
    done = run("--orientation", "as-is", "--analysis", "steiner", "--ruler", pitch_mm)
    assert done.returncode == 1, done.stderr  # the film without a ruler failed
    content = json.loads((tmp_path / "found.json").read_text())
    assert [Path(one["file"]).name for one in content["failed"]] == ["none.png"]
    (image,) = content["images"]
    assert image["spacing_mm"] == pytest.approx([0.5, 0.5], rel=0.01)
    assert image["spacing_source"].startswith("--ruler")
    assert values(image["analyses"][0])["SNA"] == pytest.approx(81.9276, abs=0.01)
    done = run("--ruler", 2, "--spacing", 0.1)
    assert done.returncode == 2 and "--ruler, --spacing: expected one of the two" in done.stderr
    done = run("--analysis", "nobody")
    assert done.returncode == 2 and "nobody" in done.stderr
