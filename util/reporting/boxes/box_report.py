"""The evaluation of boxes as one self-contained HTML file."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from util.evaluation.boxes.box_evaluation import BoxEvaluation
from util.evaluation.boxes.box_results import ImageBoxes
from util.evaluation.boxes.box_summary import (
    SIZES,
    beyond_counting,
    table_header,
    table_rows,
    without_objects,
)
from util.evaluation.boxes.confusion import image_pairs
from util.evaluation.boxes.curves import calibration, froc
from util.reporting import frame
from util.reporting.boxes import box_figures
from util.reporting.boxes.box_pictures import overlay
from util.reporting.figures import png
from util.reporting.visualise import encode_png, fit

_WORST_CASES = 8
_SIDE = 520  # pixels of a picture in the report
_CAPTIONS = (
    "Precision against recall, the mean over the classes: what lies under a curve is the AP at that overlap.",
    "FROC: the share of the objects found at so many false positives an image (overlap 0.5).",
    "Can the scores be believed? On the dashed line as many detections are right as their score says. "
    "Numbers of detections above the bars; scores below 0.05 are left out.",
    "Which class is taken for which, at the best threshold. Last column: missed. Last row: found where "
    "nothing is.",
)


def write_report(
    file: str | Path, evaluation: BoxEvaluation, load_image: Callable[[int], np.ndarray]
) -> None:
    """Write the report atomically.

    ``load_image`` reads image n (H, W[, 3]) uint8 again; it is asked for the few worst only.
    """
    where = f"{evaluation.folder.name}, {evaluation.subset}"
    summary = evaluation.summary
    sections = [frame.heading(f"Boxes of {where}", 1), _origin(evaluation), _headline(evaluation)]
    sections += [frame.heading("Every class"), frame.note(_TABLE_NOTE)]
    sections += [frame.table(table_header(), table_rows(summary, evaluation.names))]
    notes = (without_objects(summary, evaluation.names), beyond_counting(summary.results))
    sections += [frame.note(text) for text in notes if text]
    if summary.sweep.num_objects:
        sections += [frame.heading("Curves"), _figures(evaluation)]
    sections += [frame.heading("Worst cases"), _worst_cases(evaluation, load_image)]
    frame.write_page(file, f"{where}: AP {_percent(summary.headline['ap'])}", sections)


_TABLE_NOTE = (
    "AP: average precision over overlaps of 0.5 to 0.95, at 0.5, and at 0.75, as COCO computes it, in %. "
    "Precision and recall: when all detections from the score in the last column on count, which gives the "
    "largest F1 on these images."
)


def worst_images(evaluation: BoxEvaluation, count: int) -> list[tuple[int, int, int]]:
    """Image, objects missed and detections of nothing at the best threshold; most errors first."""
    threshold, nothing = evaluation.summary.threshold["score"], len(evaluation.names)
    errors = []
    for index, image in enumerate(evaluation.summary.results.images):
        pairs = image_pairs(image, nothing, threshold)
        missed = sum(true != nothing and predicted != true for true, predicted in pairs)
        errors.append((index, missed, sum(true == nothing for true, _ in pairs)))
    ranked = sorted(errors, key=lambda item: -(item[1] + item[2]))
    return [item for item in ranked if item[1] + item[2]][:count]


def _origin(evaluation: BoxEvaluation) -> str:
    facts = {
        "Checkpoint": " + ".join(map(str, evaluation.checkpoints)),
        "Data": f"{evaluation.folder}, subset {evaluation.subset}",
        "Classes": f"{len(evaluation.names)}: {', '.join(evaluation.names[:40])}",
    }
    if evaluation.repeated:
        facts["Images that train or val has too"] = f"{len(evaluation.repeated)}"
    return frame.facts(facts)


def _headline(evaluation: BoxEvaluation) -> str:
    summary = evaluation.summary
    numbers, intervals = summary.headline, summary.interval
    tiles = {
        title: (f"{_percent(numbers[name])} %", _interval(intervals[name]))
        for title, name in (("AP", "ap"), ("AP50", "ap50"), ("AP75", "ap75"))
    }
    by_size = " / ".join(_percent(numbers[f"ap_{size}"]) for size in SIZES)
    tiles["small / medium / large"] = (f"{by_size} %", "AP, below 32x32 and 96x96 pixels of area, and beyond")
    rates = froc(summary.sweep)
    tiles["found at 1 false positive"] = (
        f"{_percent(rates['1'])} %",
        "of the objects, false positives an image",
    )
    best = summary.threshold
    kept = f"precision {_percent(best['precision'])} %, recall {_percent(best['recall'])} %"
    tiles["best threshold"] = (f"{best['score']:.2f}", kept)
    counts = f"{numbers['num_objects']} objects, {numbers['num_images']} images"
    tiles["calibration error"] = (
        f"{_percent(calibration(summary.sweep)['error'])} %",
        f"of the scores; {counts}",
    )
    return frame.tiles(tiles)


def _figures(evaluation: BoxEvaluation) -> str:
    summary = evaluation.summary
    drawn = (
        box_figures.precision_recall(summary.matches),
        box_figures.froc_curve(summary.sweep),
        box_figures.reliability_bars(calibration(summary.sweep)),
        box_figures.confusion_picture(summary.confusion, evaluation.names),
    )
    return "".join(frame.figure(png(one), caption) for one, caption in zip(drawn, _CAPTIONS, strict=True))


def _worst_cases(evaluation: BoxEvaluation, load_image: Callable[[int], np.ndarray]) -> str:
    threshold = evaluation.summary.threshold["score"]
    worst = worst_images(evaluation, _WORST_CASES)
    if not worst:
        return frame.note("No object is missed, and nothing is found where nothing is.")
    legend = (
        f"Truth red, prediction green from a score of {threshold:.2f} on; crowds and difficult ones grey red."
    )
    pictures = [
        _worst_case(evaluation, evaluation.summary.results.images[index], load_image(index), missed, wrong)
        for index, missed, wrong in worst
    ]
    return frame.note(legend) + f'<div class="case">{"".join(pictures)}</div>'


def _worst_case(
    evaluation: BoxEvaluation, image: ImageBoxes, pixels: np.ndarray, missed: int, wrong: int
) -> str:
    drawn = overlay(pixels, image, evaluation.names, evaluation.summary.threshold["score"])
    objects = int((~image.ignored).sum())
    caption = (
        f"{image.case}: {missed} of {objects} objects missed or misnamed, {wrong} found where nothing is"
    )
    return frame.figure(encode_png(fit(drawn, _SIDE)), caption)


def _interval(pair: list[float] | None) -> str:
    return "" if pair is None else f"95 % interval {_percent(pair[0])} to {_percent(pair[1])}"


def _percent(share: object) -> str:
    return f"{100 * share:.1f}" if isinstance(share, float) else "-"
