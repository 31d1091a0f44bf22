"""The challenge's tools as a team runs them, on a small stack and models whose predictions are known."""

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch

from datasets.files.mha_files import open_stack
from datasets.landmarks import cl_detection2023 as cl
from datasets.landmarks.cl_predictions import read_predictions, write_predictions
from datasets.landmarks.landmark_set import LandmarkSet
from tests.support.cl_stack import FRAME, SCALES, SIZES, stack_pixels, truth, write_stack
from tests.support.mean_shape_model import MeanShapeModel, write_mean_shape_checkpoint
from tests.support.run_script import TRUSTED, run_trusting
from tests.support.run_tool import run_tool
from util.checkpoints.checkpoint import load_model
from util.evaluation.landmarks.metrics import THRESHOLDS_MM
from util.prediction.landmarks import predict_stack as stack_prediction
from util.prediction.landmarks.predict import LandmarkPredictor

CANVAS = (96, 64)  # height, width
SHAPE = np.random.default_rng(0).uniform(0.3, 0.7, (38, 2))  # normalised


def checkpoint(folder: Path, name: str = "best.pt", shift: float = 0.0, landmarks: LandmarkSet | None = None):
    """A model of the 38 landmarks that answers with ``SHAPE`` moved by ``shift``, whatever it is shown."""
    landmark_set = landmarks or cl.LANDMARKS
    points = torch.from_numpy(SHAPE[: len(landmark_set)] + shift)
    return write_mean_shape_checkpoint(folder / name, points, landmark_set, size=CANVAS, folder=folder)


def on_slice(shape: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(38, 2) ``shape`` of the canvas -> continuous pixels of an image of ``size`` (height, width)."""
    (height, width), (canvas_height, canvas_width) = size, CANVAS
    zoom = min(canvas_height / height, canvas_width / width)
    border = (np.array([canvas_width, canvas_height]) - zoom * np.array([width, height])) / 2
    return (shape * [canvas_width, canvas_height] - border) / zoom


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a stack, its ground truth and the predictions of an ensemble of two models."""
    folder = tmp_path_factory.mktemp("challenge")
    stack, _ = write_stack(folder, stack_pixels(), truth(), compress=True)
    files = [checkpoint(folder, "a.pt", 0.02), checkpoint(folder, "b.pt", -0.02)]
    done = predict(
        "--stack", stack, "--checkpoint", *files, "--output", folder / "out.json", "--batch-size", 2
    )
    assert done.returncode == 0, done.stderr
    assert "5 slices" in done.stdout
    return folder


def predict(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run the tool with the models of the tests allowed."""
    return run_trusting("tools/predict_cl_detection2023.py", *arguments)


def own_predictor(file: Path) -> LandmarkPredictor:
    return LandmarkPredictor(load_model(file, packages=TRUSTED))


def test_predictions_are_pixels_of_the_padded_slices(folder):
    """Padding is cut off before the letterbox, and cutting it moves no coordinate."""
    found = read_predictions(folder / "out.json")
    assert list(found) == [1, 2, 3, 4, 5]
    for number, size in enumerate(SIZES, start=1):
        inside = np.clip(on_slice(SHAPE, size), 0.5, np.array(FRAME[::-1]) - 0.5)
        np.testing.assert_allclose(found[number], inside, atol=1e-3)


def test_a_grey_stack_gives_the_same_predictions(folder, tmp_path):
    grey, _ = write_stack(tmp_path, stack_pixels()[..., 0], truth())
    predictor = own_predictor(checkpoint(tmp_path))
    found = stack_prediction.predict_stack(predictor, grey, 3)
    coloured = stack_prediction.predict_stack(predictor, folder / "train_stack.mha", 1)
    assert found.keys() == coloured.keys()
    assert all(np.array_equal(found[number], coloured[number]) for number in found)


def test_only_a_batch_of_slices_is_read_before_the_first_is_predicted(tmp_path, monkeypatch):
    stack = open_stack(write_stack(tmp_path, stack_pixels(), truth())[0])
    read: list[int | None] = []

    def counted(images):
        for image in images:
            read.append(image.slice)
            yield image

    monkeypatch.setattr(stack_prediction, "read_images", lambda stack: counted(cl.read_images(stack)))
    slices = stack_prediction.predict_slices(own_predictor(checkpoint(tmp_path)), stack, 2)
    assert next(slices)[0] == 1 and read == [1, 2]
    assert [number for number, _ in slices] == [2, 3, 4, 5] and read == [1, 2, 3, 4, 5]


def test_a_point_outside_the_padded_slice_is_moved_onto_its_border(tmp_path):
    stack, _ = write_stack(tmp_path, stack_pixels(), truth())
    file = checkpoint(tmp_path, shift=3.0)
    found = stack_prediction.predict_stack(own_predictor(file), stack, 2)
    assert all((points == [FRAME[1] - 0.5, FRAME[0] - 0.5]).all() for points in found.values())
    write_predictions(tmp_path / "out.json", found)
    assert (tmp_path / "out.json").is_file()


def test_checkpoints_and_scales_make_one_predictor(tmp_path, monkeypatch):
    monkeypatch.setattr(stack_prediction, "load_predictor", lambda file, device: own_predictor(file))
    calls = []
    forward = MeanShapeModel.forward
    monkeypatch.setattr(
        MeanShapeModel, "forward", lambda self, images: calls.append(len(images)) or forward(self, images)
    )
    files = [checkpoint(tmp_path, "a.pt"), checkpoint(tmp_path, "b.pt")]
    stack, _ = write_stack(tmp_path, stack_pixels()[:1], truth())
    for given, scales, looks in ((files[:1], (1.0,), 1), (files, (1.0,), 2), (files, (0.9, 1.0, 1.1), 6)):
        calls.clear()
        predictor = stack_prediction.load_challenge_predictor(given, "cpu", scales)
        stack_prediction.predict_stack(predictor, stack, 1)
        assert calls == [1] * looks


def test_a_model_of_other_landmarks_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(stack_prediction, "load_predictor", lambda file, device: own_predictor(file))
    turned = LandmarkSet("turned", cl.LANDMARKS.landmarks[::-1], cl.LANDMARKS.abbreviations[::-1])
    two = LandmarkSet("two", ("one", "other"), ("1", "2"))
    for other, message in ((two, "the 2 landmarks of 'two'"), (turned, "the 38 landmarks of 'turned'")):
        files = [checkpoint(tmp_path), checkpoint(tmp_path, "other.pt", landmarks=other)]
        with pytest.raises(ValueError, match=rf"other\.pt: finds {message}.*'cl38'.*Give a checkpoint"):
            stack_prediction.load_challenge_predictor(files, "cpu")


def test_an_empty_slice_is_named(tmp_path):
    pixels = stack_pixels()
    pixels[2] = 0
    stack, _ = write_stack(tmp_path, pixels, truth())
    with pytest.raises(ValueError, match=r"train_stack.mha: slice 3 is empty"):
        stack_prediction.predict_stack(own_predictor(checkpoint(tmp_path)), stack, 2)


def test_a_stack_cut_short_writes_nothing(tmp_path):
    stack, _ = write_stack(tmp_path, stack_pixels(), truth(), compress=True)
    stack.write_bytes(stack.read_bytes()[:-200])
    output = tmp_path / "new" / "out.json"
    done = predict(
        "--stack", stack, "--checkpoint", checkpoint(tmp_path), "--output", output, "--batch-size", 1
    )
    assert done.returncode == 1 and "slice 5 cannot be decompressed" in done.stderr
    assert "Traceback" not in done.stderr and not output.parent.exists()


@pytest.fixture(scope="module")
def evaluated(folder: Path) -> tuple[dict, str]:
    """The JSON and the printed lines of an evaluation: landmark 1 is off by 3, 4 px in slices 1 to 3."""
    annotations = cl.read_annotations(folder / "train-gt.json")
    points = {number: annotation.points.copy() for number, annotation in annotations.items()}
    for number in (1, 2, 3):
        points[number][0] += 30.0, 40.0  # 50 px: 5, 6.25 and 4.8 mm
    points[4][1, 0] += 20.0  # exactly 2.0 mm
    write_predictions(folder / "moved.json", points)
    files = ("--predictions", folder / "moved.json", "--annotations", folder / "train-gt.json")
    done = run_tool("tools/evaluate_predictions.py", *files, "--json", folder / "numbers.json")
    assert done.returncode == 0, done.stderr
    return json.loads((folder / "numbers.json").read_text()), done.stdout


def test_the_leaderboards_numbers_by_hand(evaluated):
    numbers, printed = evaluated
    assert numbers["mre_mm"] == pytest.approx((5.0 + 6.25 + 4.8 + 2.0) / (5 * 38), abs=1e-4)
    within = pytest.approx(100 * (1 - 3 / (5 * 38)))
    assert numbers["sdr_percent"] == {str(limit): within for limit in THRESHOLDS_MM}
    first, second = numbers["per_landmark"][:2]
    assert first["mre_mm"] == pytest.approx((5.0 + 6.25 + 4.8) / 5, abs=1e-4)
    assert first["sdr_percent"]["4.0"] == 40.0 and second["sdr_percent"]["2.0"] == 100.0
    assert numbers["num_images"] == 5 and "sella" in printed and "MRE 0.095 mm; 98.42 %" in printed


def test_every_spacing_has_its_own_numbers(evaluated):
    numbers, printed = evaluated
    groups = numbers["per_spacing_mm"]
    assert list(groups) == sorted(set(SCALES)) == ["0.096", "0.1", "0.125"]
    assert [group["num_images"] for group in groups.values()] == [1, 2, 2]
    expected = {"0.096": 4.8 / 38, "0.1": (5.0 + 2.0) / 76, "0.125": 6.25 / 76}
    assert {name: group["mre_mm"] for name, group in groups.items()} == pytest.approx(expected, abs=1e-4)
    assert "0.125 mm/px, 2 slices: MRE 0.082 mm" in printed


def test_predictions_of_another_stack_are_refused(folder, tmp_path):
    shorter = truth()
    shorter["points"] = shorter["points"][: 4 * 38]
    (tmp_path / "gt.json").write_text(json.dumps(shorter))
    files = ("--predictions", folder / "out.json", "--annotations", tmp_path / "gt.json")
    done = run_tool("tools/evaluate_predictions.py", *files, "--json", tmp_path / "n.json")
    assert done.returncode == 1 and "predicted, not annotated: 5" in done.stderr
    assert "Traceback" not in done.stderr and not (tmp_path / "n.json").exists()


def test_a_sound_submission_passes(folder):
    stack = folder / "train_stack.mha"
    done = run_tool("tools/validate_submission.py", folder / "out.json", "--stack", stack)
    assert (done.returncode, done.stderr) == (0, "") and "190 points, sound." in done.stdout


def test_a_faulty_submission_is_told_everything(folder, tmp_path):
    content = json.loads((folder / "out.json").read_text())
    content["points"][0]["point"][0] = 4000.0
    del content["points"][50]
    content["points"] = content["points"][:-38]
    (tmp_path / "bad.json").write_text(json.dumps(content))
    stack = folder / "train_stack.mha"
    done = run_tool("tools/validate_submission.py", tmp_path / "bad.json", "--stack", stack)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert done.stderr.splitlines() == [
        f"points[0]: slice 1, landmark 1 at x=4000, y={content['points'][0]['point'][1]:g} "
        "is not inside the 84x72 image.",
        "no point in slices 5, expected slices 1 to 5.",
        "slice 2: landmarks 13 missing.",
        f"{tmp_path / 'bad.json'}: 3 problems.",
    ]
