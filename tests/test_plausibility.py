"""Limits that proper X-rays keep: the signs, how they are fitted, and where a model keeps them."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from datasets.landmarks.landmark_set import LandmarkSet
from tasks.landmarks import LandmarkTask
from tests.support.run_tool import run_tool
from tests.support.smoke_checkpoint import write_smoke_checkpoint
from tests.support.xray_files import picture
from util.checkpoints.checkpoint import load_checkpoint, save_checkpoint
from util.checkpoints.weights_file import write_weights
from util.evaluation.landmarks.limits_fit import FEWEST, fit_limits, limits_by, tolerance_factor
from util.evaluation.landmarks.metrics import Errors
from util.prediction.landmarks.image_landmarks import ImageLandmarks
from util.prediction.landmarks.plausibility import (
    KEY,
    Limits,
    as_reference,
    limits_of,
    limits_of_file,
    mean_shape,
    shape_difference,
)
from util.prediction.landmarks.protocol import ProtocolOffsets

POINTS = np.array([[20.5, 30.5], [90.5, 40.5], [70.5, 120.5], [30.5, 100.5]])
LIMITS = Limits(as_reference(POINTS), 0.05, 0.1, 20.0, ("A", "F"), "one head")


def rotate(points, degrees):
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    return points @ np.array([[c, s], [-s, c]])


def heads(count, seed=0):
    """(N, 4, 2) points and (N, 4) radial errors of heads that differ in shape, size, place and turn."""
    rng = np.random.default_rng(seed)
    points = [
        rng.uniform(0.8, 1.2) * rotate(POINTS + rng.normal(0, 2, (4, 2)), rng.normal(0, 5)) + rng.normal(0, 9)
        for _ in range(count)
    ]
    return np.array(points), rng.lognormal(0.0, 0.2, (count, 4))


def test_shapes_are_compared_without_place_size_and_turn_but_not_mirrored():
    reference = mean_shape(POINTS[None])
    moved = 3.0 * rotate(POINTS, 25.0) + [40.0, -7.0]
    assert shape_difference(moved, reference) == pytest.approx((0.0, 25.0), abs=1e-6)
    assert shape_difference(POINTS * [-1, 1], reference)[0] > 0.3
    shifted = POINTS.copy()
    shifted[0] += 0.2 * np.sqrt(((POINTS - POINTS.mean(0)) ** 2).sum(-1).mean())
    assert 0.05 < shape_difference(shifted, reference)[0] < 0.2


def test_the_mean_shape_has_the_mean_turn():
    shapes = np.array([rotate(POINTS, degrees) for degrees in (10.0, -4.0, 0.0)])
    assert shape_difference(rotate(POINTS, 2.0), mean_shape(shapes)) == pytest.approx((0.0, 0.0), abs=1e-6)


@pytest.mark.parametrize(
    ("points", "size", "reason"),
    [
        (POINTS, 1.0, None),
        (POINTS, 9.0, "uncertainty"),
        (POINTS * [-1, 1], 1.0, "shape"),
        (rotate(POINTS, 60.0), 1.0, "turn"),
        (np.full((4, 2), 9.0), 1.0, "uncertainty"),  # all in one spot
    ],
)
def test_each_sign_flags_by_its_name(points, size, reason):
    strangeness, said = LIMITS.strangeness(
        ImageLandmarks(points, np.full(4, size), np.full(4, size)), np.ones(2)
    )
    assert (strangeness > 1.0) == (reason is not None)
    assert said is None if reason is None else reason in said


@pytest.mark.parametrize("count", [FEWEST, 20, 60])
def test_at_most_one_in_a_hundred_proper_heads_is_flagged(count):
    """With 95 % confidence: of 40 fits few may flag more."""
    points, uncertainty = heads(2000, seed=1)
    found = [ImageLandmarks(*seen, np.ones(4)) for seen in zip(points, uncertainty, strict=True)]
    too_many = 0
    for seed in range(40):
        limits = fit_limits(*heads(count, seed + 2), fitted_on="heads")
        assert limits is not None
        share = np.mean(
            [limits.strangeness(head, np.ones(2))[0] > 1.0 for head in found[seed * 50 : seed * 50 + 300]]
        )
        too_many += share > 0.01
    assert too_many <= 5
    assert fit_limits(*heads(FEWEST - 1), fitted_on="heads") is None


def test_one_landmark_alone_has_no_limits():
    """It has no shape, and nothing that an uncertainty could be a share of."""
    points, uncertainty = (part[:, :1] for part in heads(FEWEST))
    errors = Errors(tuple("x" * FEWEST), points, points + 1.0, np.ones((FEWEST, 2)), uncertainty)
    assert limits_of(LandmarkTask().beside_weights(errors), 1, "best.pt") is None


def test_more_images_give_closer_limits():
    """The factor for ten images and 99.7 % as tables of the non-central t have it falls to the quantile."""
    assert tolerance_factor(10) > tolerance_factor(20) > tolerance_factor(1000) > 2.8
    assert tolerance_factor(10) == pytest.approx(4.7, abs=0.15)


def test_pixels_of_another_size_or_shape_give_the_same_limits():
    points, uncertainty = heads(20)
    errors = Errors(tuple("x" * 20), points, points, np.full((20, 2), 0.1), 0.1 * uncertainty)
    oblong = replace(
        errors, predicted=points / [1, 2], truth=points / [1, 2], spacing=np.tile([0.1, 0.2], (20, 1))
    )
    ours, theirs = limits_by(errors, "heads"), limits_by(oblong, "heads")
    wanted = fit_limits(points, uncertainty, fitted_on="heads")
    assert ours is not None and theirs is not None and wanted is not None
    for found in (ours, theirs):
        for name in ("uncertainty", "shape", "turn"):
            assert getattr(found, name) == pytest.approx(getattr(wanted, name))


def test_oblong_pixels_are_no_strange_shape():
    stretched = ImageLandmarks(POINTS / [1, 2], np.ones(4), np.ones(4))
    assert LIMITS.strangeness(stretched, np.array([0.1, 0.2]))[0] < 0.7
    assert LIMITS.strangeness(stretched, np.full(2, np.nan))[0] > 1.0


@pytest.mark.parametrize(("count", "known"), [(FEWEST, True), (FEWEST - 1, False)])
def test_a_training_keeps_the_limits_of_its_validation_images(count, known):
    """Of the weights alone: the factor that it fits to the same images is kept beside them."""
    points, uncertainty = heads(count)
    truth = points + 0.5 * uncertainty[..., None]
    errors = Errors(tuple("x" * count), points, truth, np.ones((count, 2)), uncertainty)
    kept = LandmarkTask().beside_weights(errors)
    limits = limits_of(kept, 4, "x")
    assert (limits is not None) == known and KEY in kept and kept["calibration"] != 1.0
    if limits is not None:
        fitted = fit_limits(points, kept["calibration"] * uncertainty, fitted_on="")
        assert fitted is not None and limits.uncertainty == pytest.approx(fitted.uncertainty)
        assert limits.fitted_on == f"{count} validation images"


def test_limits_follow_what_the_model_says_of_its_uncertainty_and_protocol():
    kept = {KEY: LIMITS.to_dict()}
    assert limits_of(kept, 4, "x") == LIMITS
    assert limits_of({}, 4, "x") is None and limits_of({KEY: None}, 4, "x") is None
    wider = limits_of(kept | {"calibration": 1.5}, 4, "x")
    assert wider == replace(LIMITS, uncertainty=pytest.approx(0.075))
    offset = np.zeros((4, 2))
    offset[0] = [0.3, 0.0]
    protocol = ProtocolOffsets(
        reference=np.array(LIMITS.reference),
        offset=offset,
        variance=np.zeros(4),
        factor=np.full(4, 2.0),
        films=5,
        labels="other readers",
        canvas=(8, 8),
    )
    follows = limits_of(kept | {"protocol": protocol.to_dict()}, 4, "x")
    assert follows is not None and follows.uncertainty == pytest.approx(0.1)
    moved, _ = protocol.applied(POINTS[None], np.ones((1, 4)))
    assert shape_difference(moved[0], np.array(follows.reference)) == pytest.approx((0.0, 0.0), abs=1e-6)


def test_a_checkpoint_and_what_is_handed_out_keep_them(tmp_path):
    file = tmp_path / "a.pt"
    save_checkpoint(file, {"format": "cephdetr-checkpoint-1", **EMPTY, KEY: LIMITS.to_dict()})
    assert limits_of_file(file, 4) == LIMITS
    write_weights(tmp_path / "a.safetensors", load_checkpoint(file))
    assert limits_of_file(tmp_path / "a.safetensors", 4) == LIMITS


EMPTY = {
    "config": "a: 1",
    "weights": {"mean_shape": torch.zeros(4, 2)},
    "metrics": {},
    "iteration": 0,
    "labels": "x",
}


@pytest.mark.parametrize(
    "damage",
    [{"turn": 0}, {"turn": None}, {"reference": [[1, 2]]}, {"shape": float("nan")}, {"fitted_on": ...}],
)
def test_damaged_limits_are_named(damage):
    data = {key: value for key, value in (LIMITS.to_dict() | damage).items() if value is not ...}
    with pytest.raises(ValueError, match=r"^m\.pt: .*fit_plausibility"):
        limits_of({KEY: data}, 4, "m.pt")
    with pytest.raises(ValueError, match=r"^m\.pt: .*expected \(5, 2\)"):
        limits_of({KEY: LIMITS.to_dict()}, 5, "m.pt")


@pytest.mark.slow
def test_the_tool_writes_them_into_the_checkpoint(tmp_path):
    file = write_smoke_checkpoint(tmp_path / "m.pt", LandmarkSet("own", tuple("abcd"), tuple("ABCD")))
    before = load_checkpoint(file)
    folder = tmp_path / "xrays"
    folder.mkdir()
    for number in range(FEWEST):
        cv2.imwrite(str(folder / f"{number}.png"), picture(90 + number, 70))
    done = run_tool(
        "tools/fit_plausibility.py", "--checkpoint", file, "--input", folder, "--orientation", "A", "F"
    )
    assert done.returncode == 0, done.stderr
    limits = limits_of_file(file, 4)
    assert limits is not None and limits.orientation == ("A", "F") and limits.fitted_on == "10 images"
    after = load_checkpoint(file)
    assert all(torch.equal(after["weights"][name], tensor) for name, tensor in before["weights"].items())
    assert after.keys() - before.keys() == {KEY}
    (folder / "0.png").unlink()
    done = run_tool("tools/fit_plausibility.py", "--checkpoint", file, "--input", folder)
    assert done.returncode == 1 and "expected at least 10" in done.stderr
    done = run_tool("tools/fit_plausibility.py", "--checkpoint", Path("m.onnx"), "--input", folder)
    assert done.returncode == 2 and "export anew" in done.stderr
