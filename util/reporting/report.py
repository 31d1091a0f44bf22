"""The evaluation as one self-contained HTML file: nothing is loaded from elsewhere."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from util.evaluation.landmarks.evaluation import LandmarkEvaluation, table_header, table_rows
from util.evaluation.landmarks.metrics import OUTLIER_MM, Summary, usual_thresholds
from util.evaluation.landmarks.unit_names import short
from util.reporting import figures
from util.reporting.frame import facts, figure, heading, note, table, tiles, write_page
from util.reporting.visualise import crop, encode_png, fit, overlay

_WORST_CASES = 6
_WHOLE_SIDE, _CROP_SIDE = 480, 320  # pixels in the report
_CROP_MM = 30.0


def _captions(unit: str) -> tuple[str, ...]:
    *first, last = (f"{limit:g}" for limit in usual_thresholds(unit))
    return (
        "Error per landmark: box from quartile to quartile, whiskers from the 5th to the 95th percentile.",
        "Which way the errors point: from each landmark's mean place (red) to its mean error, and about that "
        f"the ellipse of one standard deviation, both {figures.MAGNIFIED} times as large as they are. A long "
        "ellipse is a landmark whose place along an edge is hard to tell.",
        "Cumulative error: the share of landmarks within a distance; dotted at "
        f"{', '.join(first)} and {last} {short(unit)}.",
        "Does the uncertainty tell the error? Blue: groups of equal size, root-mean-square of both. On the "
        "dashed line the model is calibrated, above it too sure. The calibration error is the groups' mean "
        "distance from that line, as a share of what was predicted (Levi et al., 2022).",
    )


def write_report(
    file: str | Path, evaluation: LandmarkEvaluation, load_image: Callable[[int], np.ndarray]
) -> None:
    """Write the report atomically.

    ``load_image`` reads image n (H, W) uint8 again; it is asked for the few worst only.
    """
    sections = [
        heading(f"Landmarks of {evaluation.folder.name}, {evaluation.subset}", level=1),
        _origin(evaluation),
        _headline(evaluation),
        heading("Every landmark"),
        _table(evaluation),
        heading("Errors"),
        _figures(evaluation),
        heading("Worst cases"),
        _worst_cases(evaluation, load_image),
    ]
    title = f"{evaluation.folder.name} {evaluation.subset}: {_length(evaluation.summary.mre_mm, evaluation)}"
    write_page(file, title, sections)


def worst_images(radial_mm: np.ndarray, count: int) -> list[int]:
    """Indices of the ``count`` images with the largest mean error, worst first; none without truth."""
    present = ~np.isnan(radial_mm)
    means = np.nan_to_num(radial_mm).sum(1) / np.maximum(present.sum(1), 1)
    ranked = [int(index) for index in np.argsort(-means, kind="stable") if present[index].any()]
    return ranked[:count]


def _origin(evaluation: LandmarkEvaluation) -> str:
    known = {
        "Checkpoint": str(evaluation.looks or evaluation.checkpoint),
        "Data": f"{evaluation.folder}, subset {evaluation.subset}",
        "Measured against": f"{evaluation.labels} labels",
        **_seen("X-rays that train or val has too", evaluation.repeated, evaluation.unrepeated, evaluation),
        **_seen("X-rays that its protocol was fitted on", evaluation.taught, evaluation.untaught, evaluation),
        "Landmark set": f"{evaluation.landmark_set.name}, {len(evaluation.landmark_set)} landmarks",
        "Landmark names": evaluation.landmark_set.note or "no note given by the landmark set",
    }
    return facts(known)


def _seen(
    title: str, cases: Sequence[str], others: Summary | None, evaluation: LandmarkEvaluation
) -> dict[str, str]:
    """How many ``cases`` are no test, and what the ``others`` come to; empty where there are none."""
    if not cases:
        return {}
    left = (
        "none is left"
        if others is None
        else f"without them {_length(others.mre_mm, evaluation)}, {others.sdr_percent['2.0']:.1f} %"
    )
    return {title: f"{len(cases)} ({left})"}


def _headline(evaluation: LandmarkEvaluation) -> str:
    summary = evaluation.summary
    unit, (low, high) = short(summary.unit), summary.mre_ci95_mm
    sdr_low, sdr_high = summary.sdr_ci95_percent["2.0"]
    numbers = {
        "mean radial error": (_length(summary.mre_mm, evaluation), f"95 % interval {low:.3f} to {high:.3f}"),
        f"within 2 {unit}": (
            f"{summary.sdr_percent['2.0']:.1f} %",
            f"95 % interval {sdr_low:.1f} to {sdr_high:.1f}",
        ),
        "median error": (
            _length(summary.median_mm, evaluation),
            f"standard deviation {summary.mre_std_mm:.3f} {unit}",
        ),
        f"over {OUTLIER_MM:g} {unit}": (
            f"{summary.outlier_percent:.1f} %",
            f"of {summary.count} landmarks, {summary.num_images} images",
        ),
        "calibration error": (
            f"{evaluation.reliability.error_percent:.1f} %",
            "of the uncertainty; 0 % is calibrated",
        ),
        "within the 95 % radius": (
            f"{evaluation.reliability.coverage_percent['95']:.1f} %",
            f"of the errors; {evaluation.reliability.coverage_percent['68']:.1f} % within the 68 % radius",
        ),
    }
    return tiles(numbers)


def _table(evaluation: LandmarkEvaluation) -> str:
    unit = evaluation.summary.unit
    explained = (
        f"n: annotated landmarks. MRE, SD and median of the radial error in {unit}; SDR: percent within that "
        f"many {short(unit)}; 95 %: bootstrap interval over images; offset: the mean error to the right and "
        f"down in {short(unit)}, and the MRE that is left without it. No training takes it away where these "
        "labels follow another protocol than those learnt from."
    )
    return note(explained) + table(table_header(evaluation), table_rows(evaluation))


def _figures(evaluation: LandmarkEvaluation) -> str:
    errors, landmark_set = evaluation.errors, evaluation.landmark_set
    radial, unit = errors.radial_mm, errors.unit
    names = [f"{index} {name}" for index, name in enumerate(landmark_set.landmarks, start=1)]
    drawn = (
        figures.box_plot(radial, names, unit),
        figures.error_ellipses(errors.vectors_mm, errors.truth_mm, landmark_set.abbreviations, unit),
        figures.cumulative_curve(radial, unit),
        figures.reliability_curve(radial, errors.uncertainty_mm, evaluation.reliability, unit),
    )
    captions = zip(drawn, _captions(unit), strict=True)
    return "".join(figure(figures.png(plot), caption) for plot, caption in captions)


def _worst_cases(evaluation: LandmarkEvaluation, load_image: Callable[[int], np.ndarray]) -> str:
    """Each of the worst images whole, and a window about its worst landmark."""
    legend = "Truth red, prediction green, the error yellow, the predicted uncertainty as a blue circle."
    cases = [
        _worst_case(evaluation, index, load_image(index))
        for index in worst_images(evaluation.errors.radial_mm, _WORST_CASES)
    ]
    return note(legend) + "".join(cases)


def _length(value: float, evaluation: LandmarkEvaluation) -> str:
    return f"{value:.3f} {evaluation.summary.unit}"


def _worst_case(evaluation: LandmarkEvaluation, index: int, image: np.ndarray) -> str:
    errors = evaluation.errors
    radial = errors.radial_mm[index]
    worst = int(np.nanargmax(radial))
    spacing = float(errors.spacing[index].mean())
    points = {"truth": errors.truth[index], "radius": errors.uncertainty_mm[index] / spacing}
    centre = (errors.predicted[index, worst] + errors.truth[index, worst]) / 2
    span_mm = max(_CROP_MM, 1.5 * float(radial[worst]))  # both ends of the error stay in the window
    size = max(16, round(span_mm / spacing))
    whole = overlay(image, errors.predicted[index], **points)
    window = crop(overlay(image, errors.predicted[index], **points, dot=size / 100), centre, size)
    name = f"{worst + 1} {evaluation.landmark_set.landmarks[worst]}"
    unit = short(errors.unit)
    mean = f"{errors.cases[index]}: mean error {np.nanmean(radial):.2f} {unit}"
    close = f"{name}: {radial[worst]:.1f} {unit}; the window is {span_mm:.0f} {unit} wide"
    pictures = figure(encode_png(fit(whole, _WHOLE_SIDE)), mean) + figure(
        encode_png(fit(window, _CROP_SIDE)), close
    )
    return f'<div class="case">{pictures}</div>'
