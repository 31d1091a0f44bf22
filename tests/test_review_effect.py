"""Which landmarks decide, and how many decisions of a film are expected to be wrong."""

from pathlib import Path

import numpy as np
import pytest

from measurements.analysis import load_analysis
from measurements.evaluate import measure
from measurements.norm import Patient
from measurements.shapes import shipped_shapes
from review_page.effect import effects, limits_of
from review_page.start import open_session
from tests.support.review import LANDMARKS, make_films, measurer, record, wanted, write_predictions
from util.prediction.landmarks.measuring import Measurer

MEASURER = measurer(None, {})


def film(folder: Path, number: int = 0, **changes: object) -> dict:
    return record(make_films(folder, 1) / "film0.png", number) | changes


def test_many_films_at_once_come_to_what_each_comes_to_alone(tmp_path: Path) -> None:
    films = [film(tmp_path, number) for number in range(4)]
    generator = np.random.default_rng(0)
    for one in films:
        for row in one["landmarks"]:
            row["x"] += generator.normal(0, 3)
    together = effects(MEASURER, films)
    assert together.shape == (4, 8, 19) and len({one.sum() for one in together}) == 4
    for one, expected in zip(films, together, strict=True):
        assert effects(MEASURER, [one])[0] == pytest.approx(expected, abs=1e-12)


def test_the_chance_of_a_wrong_class_is_that_of_the_landmarks_errors(tmp_path: Path) -> None:
    """Landmarks drawn anew with the errors that are said: how often does a value change sides?"""
    one = film(tmp_path)
    for row in one["landmarks"]:
        row["uncertainty_px"] *= 0.3  # small beside the head, as chances are to first order
    points, unit, covariances = MEASURER.placed(one, "")
    chance = effects(MEASURER, [one])[0].sum(axis=-1)  # (M) of all landmarks together
    generator = np.random.default_rng(0)
    drawn = points * unit + np.stack(
        [generator.multivariate_normal(np.zeros(2), matrix, 4000) for matrix in covariances[0]], axis=1
    )
    analysis = MEASURER.analyses[0]
    truth = measure(analysis, (points * unit)[None], MEASURER.index)
    values = measure(analysis, drawn, MEASURER.index).values
    for m, measurement in enumerate(truth.analysis.measurements):
        limits = np.array(limits_of(measurement, MEASURER.patient, scale_known=True))
        at = truth.values[0, m]
        nearest = limits[np.abs(limits - at).argmin()]
        changed = ((values[:, m] > nearest) != (at > nearest)).mean()
        assert chance[m] == pytest.approx(changed, abs=0.03), measurement.code


def test_lengths_without_a_millimetre_and_missing_landmarks_decide_nothing(tmp_path: Path) -> None:
    units = [one.unit for one in MEASURER.analyses[0].of_landmarks(MEASURER.index).measurements]
    without = effects(MEASURER, [film(tmp_path, spacing_mm=None)])[0]
    assert without[[unit == "mm" for unit in units]].sum() == 0.0 and without.sum() > 0.0
    lacking = film(tmp_path)
    for row in lacking["landmarks"]:
        row |= {"x": None, "y": None}
    assert effects(MEASURER, [lacking]).sum() == 0.0


def test_a_landmark_counts_where_it_is_needed_alone(tmp_path: Path) -> None:
    analysis = MEASURER.analyses[0].of_landmarks(MEASURER.index)
    found = effects(MEASURER, [film(tmp_path)])[0]
    for row, one in zip(found, analysis.measurements, strict=True):
        needed = {MEASURER.index[name] for name in one.landmarks}
        assert {int(k) for k in np.flatnonzero(row > 1e-12)} <= needed


@pytest.mark.parametrize(
    ("source", "compared"), [("--spacing", {"L1-APog mm"}), ("ImagerPixelSpacing", set())]
)
def test_norms_that_may_not_be_applied_decide_nothing_and_are_not_drawn(
    tmp_path: Path, source: str, compared: set[str]
) -> None:
    """Of Ricketts' norms one alone was seen in a source, and it is of a length."""
    shown, risk = on_the_page(tmp_path, "ricketts", source)
    rows = [row for row in shown["measurements"] if row["norm"]]
    assert (
        len(rows) > 5 and {row["code"] for row in rows if row["norm"]["deviations"] is not None} == compared
    )
    why = [row["why"] for row in shown["landmarks"] if row["why"]]
    assert bool(why) == (risk > 0) == bool(compared)
    assert all("decides whether L1-APog mm is within its norm" in sentence for sentence in why)
    by_effect, by_uncertainty = shown["orders"]["effect"], shown["orders"]["uncertainty"]
    assert (by_effect == by_uncertainty) == (not compared)


def test_a_length_by_a_spacing_that_makes_no_head_decides_nothing(tmp_path: Path) -> None:
    one = Measurer(LANDMARKS, [load_analysis("ricketts")], Patient(), shipped_shapes())
    risks = [effects(one, [film(tmp_path, spacing_mm=[mm, mm])]).sum() for mm in (1.0, 10.0)]
    assert risks[0] > risks[1] == 0.0


def test_the_page_is_told_of_which_sex_a_norm_is(tmp_path: Path) -> None:
    shown, _ = on_the_page(tmp_path, "mcnamara", "--spacing")
    norms = {row["code"]: row["norm"] for row in shown["measurements"] if row["norm"]}
    assert norms["FH-MP"] | {"mean": 22.7, "sex": "female"} == norms["FH-MP"]


def on_the_page(folder: Path, analysis: str, source: str) -> tuple[dict, float]:
    """A film as the page is told of it, its spacing from ``source``, and its risk."""
    one = Measurer(LANDMARKS, [load_analysis(analysis)], Patient(), shipped_shapes())
    films = make_films(folder / "films", 1)
    image = record(films / "film0.png", 0) | {"spacing_source": source}
    write_predictions(films, folder / "landmarks.json", images=[image])
    with open_session(wanted(folder), lambda *_: one) as opened:
        return opened.session.show(0), opened.session.listed()[0]["risk"]
