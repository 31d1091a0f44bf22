"""Shifted copies keep their truth, and tools/evaluate_shifts.py says what a shift costs."""

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from datasets.landmarks.batch import collate
from tests.conftest import TINY_SET
from tests.support.mean_shape_model import write_mean_shape_checkpoint
from tests.support.run_scripts import Ended, run_scripts
from tests.support.smoke_checkpoint import write_smoke_checkpoint
from transforms.augment import EvalTransforms
from transforms.sample import PointSample
from transforms.shifts import SHIFTS, ShiftedTransforms, shifted_copy
from util.evaluation.landmarks.metrics import Errors
from util.evaluation.landmarks.shift_comparison import (
    UNSHIFTED,
    over_bar,
    shift_effects,
    shift_record,
    side_by_side,
)
from util.evaluation.landmarks.shift_pictures import shift_sheet
from util.reporting.visualise import PREDICTION

TOOL = "tools/evaluate_shifts.py"
GEOMETRIC = {name for name in SHIFTS if name.startswith(("scale", "rotate", "crop"))}
DRAWN = {"crop", "noise", "text", "text_on_head"}  # these differ from case to case
SHAPE = torch.tensor([[0.3, 0.3], [0.7, 0.3], [0.5, 0.5], [0.5, 0.7], [0.5, 0.9]])


def dots(case: str = "one", *, zoom: int = 1, at: tuple[tuple[float, float], ...] = ()) -> PointSample:
    """A 320x260 image, ``zoom`` times as large, with a bright dot on each landmark."""
    points = zoom * np.array([(118.3, 102.8), (196.6, 149.2), (141.1, 171.7), *at])
    y, x = np.mgrid[: 260 * zoom, : 320 * zoom] + 0.5
    image = np.full(x.shape, 60.0)
    for px, py in points:
        image += 150.0 * np.exp(-((x - px) ** 2 + (y - py) ** 2) / (2 * (4.0 * zoom) ** 2))
    return PointSample(
        image=image.round().clip(0, 255).astype(np.uint8),
        points=points,
        spacing=np.array([0.5, 0.25]),
        to_source=np.eye(3),
        case=case,
    )


def dot_near(image: np.ndarray, point: np.ndarray, reach: int = 22) -> np.ndarray:
    """(x, y) of the dot about ``point``: the centroid of what differs much from its surroundings."""
    left, top = np.floor(point).astype(int) - reach
    window = image[top : top + 2 * reach, left : left + 2 * reach].astype(float)
    weight = np.clip(np.abs(window - np.median(window)) - 65.0, 0.0, None)
    y, x = np.mgrid[: window.shape[0], : window.shape[1]] + 0.5
    return np.array([(weight * x).sum(), (weight * y).sum()]) / weight.sum() + (left, top)


@pytest.mark.parametrize("name", sorted(SHIFTS.keys() - {"text", "text_on_head", "rods"}))
def test_the_dots_are_where_the_landmarks_are_said_to_be(name: str) -> None:
    sample = dots()
    shifted = shifted_copy(sample, name)
    assert not np.array_equal(shifted.image, sample.image)
    for point in shifted.points:
        np.testing.assert_allclose(
            dot_near(shifted.image, point), point, atol=0.6 if name == "noise" else 0.05
        )


@pytest.mark.parametrize("name", SHIFTS)
def test_millimetres_stay_those_of_the_anatomy(name: str) -> None:
    """All the way to the batch that a model sees."""
    sample = dots()
    seen = ShiftedTransforms(name, EvalTransforms((192, 224)))(sample, np.random.default_rng(0))
    batch = collate([seen])
    np.testing.assert_allclose(batch.to_source_pixels(batch.points)[0], sample.points, atol=1e-3)
    np.testing.assert_array_equal(batch.spacing[0], sample.spacing)
    if name not in GEOMETRIC:
        shifted = shifted_copy(sample, name)
        np.testing.assert_array_equal(shifted.points, sample.points)
        np.testing.assert_array_equal(shifted.to_source, sample.to_source)


@pytest.mark.parametrize(("name", "factor"), [("scale_0.7", 0.7), ("scale_1.4", 1.4), ("rotate_15", 1.0)])
def test_the_head_has_the_size_that_the_shift_says(name: str, factor: float) -> None:
    sample = dots()
    shifted = shifted_copy(sample, name)
    before, after = (np.linalg.norm(s.points[0] - s.points[1]) for s in (sample, shifted))
    assert after == pytest.approx(factor * before)
    assert shifted.size == sample.size


def test_a_positive_rotation_is_clockwise() -> None:
    middle_right = dots(at=((300.0, 130.0),))
    assert shifted_copy(middle_right, "rotate_15").points[-1, 1] > 130 + 140 * np.sin(np.deg2rad(14))


@pytest.mark.parametrize("name", SHIFTS)
def test_a_copy_depends_on_shift_and_case_only(name: str) -> None:
    transforms = ShiftedTransforms(name, EvalTransforms((192, 224)))
    one, again = (transforms(dots("one"), np.random.default_rng(seed)).image for seed in (1, 2))
    other = transforms(dots("other"), np.random.default_rng(1)).image
    np.testing.assert_array_equal(one, again)
    assert np.array_equal(one, other) == (name not in DRAWN)


def test_what_leaves_the_frame_is_missing() -> None:
    sample = replace(dots(), points=np.array([[5.0, 5.0], [160.0, 130.0], [np.nan, np.nan]]))
    missing = {name: np.isnan(shifted_copy(sample, name).points).any(-1).tolist() for name in SHIFTS}
    gone = {name for name, (corner, *_) in missing.items() if corner}
    assert gone == {*(n for n in GEOMETRIC if n.startswith("rotate")), "scale_1.2", "scale_1.4", "crop"}
    assert all(rest == [False, True] for _, *rest in missing.values())


def test_a_crop_takes_its_own_share_of_each_side() -> None:
    sample = dots()
    shifted = shifted_copy(sample, "crop")
    left_top = shifted.to_source[:2, 2] / sample.size
    right_bottom = 1.0 - left_top - np.array(shifted.size) / sample.size
    shares = [*left_top, *right_bottom]
    assert len({round(share, 3) for share in shares}) == 4
    assert min(shares) > 0.028 and max(shares) < 0.122  # 3 to 12 %, in whole pixels
    x, y = shifted.to_source[:2, 2].astype(int)
    np.testing.assert_array_equal(shifted.image, sample.image[y:, x:][: shifted.size[1], : shifted.size[0]])


def test_grey_values_change_as_stated() -> None:
    sample = replace(dots(), image=np.tile(np.array([[0, 40, 100, 200, 255]], np.uint8), (10, 8)))  # mean 119
    expected = {
        "gamma_0.5": [0, 101, 160, 226, 255],
        "gamma_2": [0, 6, 39, 157, 255],
        "invert": [255, 215, 155, 55, 0],
        "contrast_0.5": [60, 80, 110, 160, 187],
        "contrast_2": [0, 0, 81, 255, 255],
        "darker": [0, 0, 36, 136, 191],
        "brighter": [64, 104, 164, 255, 255],
    }
    for name, row in expected.items():
        got = shifted_copy(sample, name).image[0, :5].astype(int)
        assert np.abs(got - row).max() <= 0.5 + 0.5 * (name == "contrast_0.5"), name  # 59.5 rounds either way


def test_blur_and_noise_mean_the_same_at_every_resolution() -> None:
    def on_canvas(height: int, name: str) -> np.ndarray:
        image = np.full((height, height), 60, np.uint8)
        image[:, height // 2 :] = 180
        sample = replace(dots(), image=image)
        return (
            ShiftedTransforms(name, EvalTransforms((512, 512)))(sample, np.random.default_rng()).image / 1.0
        )

    edges = [np.abs(np.diff(on_canvas(height, "blur")[256])) for height in (768, 1536)]
    widths = [np.sqrt((edge * (np.arange(511) - 255.0) ** 2).sum() / edge.sum()) for edge in edges]
    assert widths[0] == pytest.approx(widths[1], rel=0.05) and widths[1] > 0.004 * 512
    grains = [on_canvas(height, "noise")[20:-20, 20:200].std() for height in (768, 1536)]
    assert grains[0] == pytest.approx(grains[1], rel=0.1) and min(grains) > 10


@pytest.mark.parametrize(("name", "reaches_middle"), [("text", False), ("text_on_head", True)])
def test_text_is_white_and_in_its_band(name: str, reaches_middle: bool) -> None:
    rows = np.zeros(260, int)
    for number in range(8):
        plain, written = dots(), shifted_copy(replace(dots(), case=f"{number}"), name)
        changed = written.image != plain.image
        assert 0.005 < changed.mean() < 0.25 and (written.image >= plain.image).all()
        assert written.image.max() == 255
        rows += changed.sum(1)
    assert bool(rows[52:208].any()) == reaches_middle
    assert rows[:52].any() and rows[208:].any()


def errors_of(radial_mm: list[list[float]]) -> Errors:
    """Predictions that far below a truth; NaN where that is missing. 0.5 mm a pixel along y."""
    radial = np.array(radial_mm)
    truth = np.where(np.isnan(radial)[..., None], np.nan, 10.0)
    return Errors(
        cases=tuple(f"case{n}" for n in range(len(radial))),
        predicted=np.stack([np.full_like(radial, 10.0), 10.0 + 2.0 * np.nan_to_num(radial)], -1),
        truth=np.broadcast_to(truth, (*radial.shape, 2)),
        spacing=np.tile([0.25, 0.5], (len(radial), 1)),
        uncertainty_mm=np.ones(radial.shape),
    )


def test_the_cost_of_a_shift_is_counted_over_the_same_landmarks() -> None:
    nan = np.nan
    plain = errors_of([[1.0, 5.0], [3.0, nan]])
    effects = shift_effects({UNSHIFTED: plain, "crop": errors_of([[2.0, nan], [6.0, nan]]), "blur": plain})
    crop = effects["crop"]
    assert crop.count == 2 and effects[UNSHIFTED].count == 3
    assert crop.shifted["mre_mm"] == pytest.approx(4.0) and crop.unshifted["mre_mm"] == pytest.approx(2.0)
    assert (crop.shifted["over_4_percent"], crop.unshifted["over_4_percent"]) == (50.0, 0.0)
    assert (crop.shifted["sdr2_percent"], crop.unshifted["sdr2_percent"]) == (50.0, 50.0)
    assert crop.difference_ci95_mm == pytest.approx((1.0, 3.0))  # one image or the other, twice
    assert over_bar(effects, 1.99) == {"crop": pytest.approx(2.0)} and over_bar(effects, 2.01) == {}
    assert effects["blur"].ratio == 1.0


def test_numbers_in_another_unit_are_named_after_it() -> None:
    plain = replace(errors_of([[1.0, 5.0]]), unit="% of the image height")
    kept = shift_record({UNSHIFTED: plain, "blur": plain})
    assert kept["unit"] == "% of the image height" and "_mm" not in json.dumps(kept)
    assert kept["shifts"]["blur"]["errors_percent_of_length"] == [[1.0, 5.0]]


def test_models_stand_beside_each_other_with_their_difference() -> None:
    first = {UNSHIFTED: errors_of([[1.0, 2.0]] * 3), "blur": errors_of([[2.0, 3.0]] * 3)}
    second = {UNSHIFTED: errors_of([[1.0, 1.0]] * 3), "blur": errors_of([[1.5, 5.0]] * 3)}
    *_, last = side_by_side([first, second]).splitlines()
    numbers = "2.500  3.250  1.67  3.25  0.0  50.0  +0.750 (+0.750 to +0.750)"
    assert last.split() == ["blur", *numbers.split()]


def test_a_shift_that_leaves_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="shift scale_1.4: none of the annotated landmarks of 1 images"):
        shift_effects({UNSHIFTED: errors_of([[1.0]]), "scale_1.4": errors_of([[np.nan]])})


def test_the_picture_shows_predictions_where_they_lie_on_the_shifted_copy() -> None:
    sample, wrong = dots(), np.array([290.0, 100.0])
    predicted = {name: np.tile(wrong, (3, 1)) for name in (UNSHIFTED, "rotate_15")}
    sheet = shift_sheet(sample, predicted, side=342)  # 320 columns of image, 11 on either side
    green = np.abs(sheet.astype(int) - PREDICTION).sum(-1) < 90
    turn = np.linalg.inv(shifted_copy(sample, "rotate_15").to_source)
    for tile, expected in enumerate((wrong, (turn @ (*wrong, 1.0))[:2])):
        y, x = np.argwhere(green[:, 342 * tile : 342 * (tile + 1)]).mean(0) + 0.5
        np.testing.assert_allclose((x - 11, y), expected, atol=0.6)
    assert cv2.countNonZero(sheet[-20:, :, 0]) > 50  # the captions


@pytest.fixture(scope="module")
def ended(tiny_prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Ended]]:
    """The tool on a model that always answers the same, on a real one, and with bad input."""
    out = tmp_path_factory.mktemp("shifts")
    shape = write_mean_shape_checkpoint(
        out / "shape.pt", SHAPE, TINY_SET, size=(192, 160), folder=tiny_prepared
    )
    smoke = write_smoke_checkpoint(out / "smoke.pt", TINY_SET)
    (out / "full").mkdir()
    (out / "full" / "old.png").touch()
    fixed = (TOOL, "--workers", 0, "--checkpoint", shape)
    outputs = ("--json", out / "numbers.json", "--show-dir", out / "show")
    calls = {
        "all": (*fixed, smoke, "--subset", "train", *outputs),
        "under bar": (*fixed, "--limit", 1, "--shifts", "gamma_2", "blur", "--bar", 1.3),
        "over bar": (*fixed, "--shifts", "blur", "scale_0.7", "--bar", 1.3),
        "unknown": (*fixed, "--shifts", "gama_2"),
        "no bar": (*fixed, "--bar", 0),
        "no limit": (*fixed, "--limit", -1),
        "no data": (TOOL, "--checkpoint", smoke, "--data", out / "absent"),
        "full": (*fixed, "--show-dir", out / "full"),
        "help": (TOOL, "--help"),
    }
    return out, dict(zip(calls, run_scripts(list(calls.values())), strict=True))


def test_the_numbers_of_a_model_that_always_answers_the_same(ended: tuple[Path, dict[str, Ended]]) -> None:
    out, runs = ended
    assert runs["all"].returncode == 0, runs["all"].stderr
    numbers = json.loads((out / "numbers.json").read_text())
    assert numbers["cases"] == ["tiny1", "tiny2", "tiny3"] and numbers["labels"] == "synthetic"
    fixed, smoke = numbers["results"]
    assert fixed["checkpoint"].endswith("shape.pt") and smoke["checkpoint"].endswith("smoke.pt")
    assert list(fixed["shifts"]) == [UNSHIFTED, *SHIFTS] == list(smoke["shifts"])
    for name, effect in fixed["shifts"].items():
        kept = np.array(effect["errors_mm"], float)
        assert effect["count"] == np.isfinite(kept).sum() and np.isnan(kept[1, 3])
        assert effect["shifted"]["mre_mm"] == pytest.approx(np.nanmean(kept))
        assert effect["ratio"] == pytest.approx(effect["shifted"]["mre_mm"] / effect["unshifted"]["mre_mm"])
        if name not in GEOMETRIC:
            assert effect["ratio"] == pytest.approx(1.0, abs=1e-4) and effect["count"] == 14
    assert fixed["shifts"]["scale_0.7"]["ratio"] > 1.3


def test_the_tables_and_pictures(ended: tuple[Path, dict[str, Ended]]) -> None:
    out, runs = ended
    text = runs["all"].stdout
    assert all(sum(line.startswith(f"{name} ") for line in text.splitlines()) == 3 for name in SHIFTS)
    assert "[2] - [1], 95 %" in text and "3 of 3 images" in text and "'synthetic' labels" in text
    sheets = [cv2.imread(str(out / "show" / f"{number}_tiny1.png")) for number in (1, 2)]
    assert sheets[0].shape == sheets[1].shape and (sheets[0] != sheets[1]).any()


def test_the_bar_decides_the_exit_code(ended: tuple[Path, dict[str, Ended]]) -> None:
    _, runs = ended
    assert runs["under bar"].returncode == 0, runs["under bar"].stderr
    assert "no shift multiplies MRE by more than 1.3" in runs["under bar"].stdout
    assert "1 of 2 images" in runs["under bar"].stdout
    failed = runs["over bar"]
    assert failed.returncode == 1
    message = failed.stderr.splitlines()[-1]
    assert "MRE over 1.3 times" in message and "scale_0.7" in message and "blur" not in message


@pytest.mark.parametrize(
    ("run", "message"),
    [
        ("unknown", "invalid choice: 'gama_2'"),
        ("no bar", "--bar: 0.0, expected a number above 0"),
        ("no limit", "--limit: -1, expected a number above 0"),
        ("no data", "absent"),
        ("full", "is not empty"),
    ],
)
def test_bad_input_is_refused_in_a_sentence(
    ended: tuple[Path, dict[str, Ended]], run: str, message: str
) -> None:
    failed = ended[1][run]
    assert failed.returncode != 0 and message in failed.stderr and "Traceback" not in failed.stderr


def test_help_lists_the_shifts(ended: tuple[Path, dict[str, Ended]]) -> None:
    done = ended[1]["help"]
    assert done.returncode == 0 and all(name in done.stdout for name in SHIFTS)
