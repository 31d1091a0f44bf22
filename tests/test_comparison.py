"""Comparing runs: paired intervals that know the images, and a clear word where runs do not compare."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from datasets.landmarks.landmark_set import LandmarkSet
from tests.support.run_tool import run_tool
from util.evaluation.landmarks.comparison import (
    MEASURES,
    EvaluatedRun,
    compare,
    paired_difference,
    read_run,
    require_comparable,
)
from util.evaluation.landmarks.comparison_tables import markdown_table, text_table
from util.evaluation.landmarks.evaluation import LandmarkEvaluation
from util.evaluation.landmarks.metrics import Errors, summarise
from util.reporting.figures import comparison_picture, png

MRE, SDR2, OVER_4, OVER_10 = MEASURES


def hard_and_easy_images() -> np.ndarray:
    """(40, 3) radial errors in mm; half of the images are ten times as hard, one landmark is missing."""
    radial = np.random.default_rng(0).uniform(0.5, 1.0, (40, 3))
    radial[::2] *= 10.0
    radial[3, 1] = np.nan
    return radial


def write_evaluation(folder: Path, radial_mm: np.ndarray, **changes) -> Path:
    """test.json of a run whose errors are ``radial_mm``: predictions that far to the right of the truth."""
    folder.mkdir(parents=True)
    shape = (*radial_mm.shape, 2)
    truth = np.random.default_rng(1).uniform(10, 90, shape)
    truth[np.isnan(radial_mm)] = np.nan
    errors = Errors(
        cases=tuple(f"case{number}" for number in range(len(radial_mm))),
        predicted=np.nan_to_num(truth, nan=50.0)
        + np.stack([np.nan_to_num(radial_mm), 0 * np.nan_to_num(radial_mm)], -1),
        truth=truth,
        spacing=np.ones((len(radial_mm), 2)),
        uncertainty_mm=np.ones(radial_mm.shape),
    )
    evaluation = LandmarkEvaluation(
        errors=errors,
        summary=summarise(errors),
        landmark_set=LandmarkSet("own", ("a", "b", "c"), ("A", "B", "C")),
        labels="senior",
        checkpoint=folder / "best.pt",
        folder=Path("data"),
        subset="test",
    )
    (folder / "test.json").write_text(json.dumps(evaluation.to_dict() | changes))
    return folder


def test_measures_by_hand():
    radial = np.array([[1.0, 2.0, 3.0], [4.0, 10.0, 10.1], [np.nan, 2.1, 4.1]])
    assert MRE.value(radial) == pytest.approx(36.3 / 8)
    assert SDR2.value(radial) == pytest.approx(100 * 2 / 8)
    assert OVER_4.value(radial) == pytest.approx(100 * 3 / 8)
    assert OVER_10.value(radial) == pytest.approx(100 * 1 / 8)


def test_a_constant_difference_is_certain_however_different_the_images_are():
    """Apart, each run's own interval is wide; on the same images the difference is 0.3 mm, surely."""
    reference = hard_and_easy_images()
    assert paired_difference(MRE, reference + 0.3, reference) == pytest.approx((0.3, 0.3, 0.3))
    assert paired_difference(MRE, reference, reference) == (0.0, 0.0, 0.0)


def test_a_difference_that_one_image_makes_is_not_certain():
    reference = hard_and_easy_images()
    other = reference.copy()
    other[4] += 8.0
    mean, low, high = paired_difference(MRE, other, reference)
    assert mean == pytest.approx(8.0 * 3 / (40 * 3 - 1))
    assert low == 0.0 and high > mean  # about one resample in three does not draw that image


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(100):
        reference = rng.exponential(1.0, (60, 4))
        _, low, high = paired_difference(MRE, reference + rng.normal(0.2, 0.5, (60, 4)), reference)
        hits += low <= 0.2 <= high
    assert 88 <= hits <= 99


def test_reading_and_comparing_runs(tmp_path):
    radial = hard_and_easy_images()
    first = read_run(write_evaluation(tmp_path / "detr", radial))
    second = read_run(write_evaluation(tmp_path / "unet", radial + 1.0) / "test.json")
    require_comparable([first, second])
    np.testing.assert_allclose(first.radial_mm, radial, atol=1e-9)
    rows = compare([first, second])
    assert [row["name"] for row in rows] == ["detr", "unet"]
    assert rows[0]["difference_to_first"]["mre_mm"] == {"mean": 0.0, "ci95": [0.0, 0.0]}
    assert rows[1]["difference_to_first"]["mre_mm"]["mean"] == pytest.approx(1.0)
    assert json.loads(json.dumps(rows, allow_nan=False)) == rows
    for table in (text_table(rows), markdown_table(rows)):
        assert "+1.000 (+1.000 to +1.000)*" in table and f"{np.nanmean(radial):.3f}" in table
    rows[1] |= {"p50_ms": 12.4, "params_m": 3.0}
    rows[0] |= {"p50_ms": 24.0, "params_m": 1.0}
    assert "| 12 | 3.0 |" in markdown_table(rows)
    picture = png(comparison_picture({"a": radial, "b": radial + 1}, {"a": 24.0, "b": 12.4}))
    assert picture.startswith(b"\x89PNG") and picture != png(comparison_picture({"a": radial, "b": radial}))


def test_a_set_of_several_is_a_checkpoint_too(tmp_path):
    radial = hard_and_easy_images()
    one = f"{tmp_path / 'run' / 'best.pt'}:spine"
    write_evaluation(tmp_path / "run", radial, checkpoint=one)
    np.testing.assert_allclose(read_run(Path(one)).radial_mm, radial, atol=1e-9)
    with pytest.raises(ValueError, match=r"is about .*best.pt:spine, not .*best.pt:chest"):
        read_run(tmp_path / "run" / "best.pt:chest")
    with pytest.raises(ValueError, match=r"--checkpoint .*best.pt:spine --json .*other/test.json"):
        read_run(tmp_path / "other" / "best.pt:spine")


def test_an_ensemble_is_called_by_its_file_and_has_no_latency(tmp_path):
    """A run folder's name would pass it off for one model, and one model's time for its own."""
    looks = {"checkpoints": ["a/best.pt", "b/best.pt"], "scales": [1.0], "crop": False}
    folder = write_evaluation(tmp_path / "both", hard_and_easy_images(), test_time=looks)
    found = read_run(folder / "test.json")
    assert not found.one_look and found.name == str(folder / "test.json")
    done = run_tool("tools/compare.py", folder / "test.json")
    assert done.returncode == 1 and "Add --no-latency." in done.stderr and "Traceback" not in done.stderr
    assert run_tool("tools/compare.py", folder / "test.json", "--no-latency").returncode == 0


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> EvaluatedRun:
    return read_run(write_evaluation(tmp_path_factory.mktemp("one") / "run", hard_and_easy_images()))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": "junior"}, "'junior' and 'senior' labels"),
        ({"landmarks": ("a", "b")}, "2 and 3 landmarks, expected the same ones"),
        ({"cases": tuple(f"case{n}" for n in range(1, 41))}, "not the same images .2 in only one.*case0"),
        ({"truth": np.ones((40, 3, 2))}, "the true points differ"),
    ],
)
def test_runs_that_do_not_compare_are_refused(run, change, message):
    other = replace(run, file=Path("other.json"), **change)
    with pytest.raises(ValueError, match=f"other.json and .*{message}"):
        require_comparable([run, other])


def test_what_is_no_evaluation_is_refused_with_the_command_to_make_one(tmp_path):
    folder = write_evaluation(tmp_path / "run", hard_and_easy_images(), checkpoint="elsewhere/best.pt")
    with pytest.raises(ValueError, match=r"is about elsewhere/best.pt, not .*run/best.pt"):
        read_run(folder / "best.pt")
    (folder / "test.json").unlink()
    with pytest.raises(ValueError, match=r"python test.py --checkpoint .*run/best.pt --json .*run/test.json"):
        read_run(folder)
    for text, message in (("{", "not valid JSON"), ("[]", "lacks"), ('{"cases": []}', "lacks")):
        (folder / "test.json").write_text(text)
        with pytest.raises(ValueError, match=message):
            read_run(folder)
