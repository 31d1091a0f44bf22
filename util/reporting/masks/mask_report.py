"""The evaluation of masks as one self-contained HTML file."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from util.evaluation.masks.attributes import attribute_table
from util.evaluation.masks.bootstrap import class_means, intervals
from util.evaluation.masks.collected import CollectedMasks
from util.evaluation.masks.edge_calibration import BAND_MM, BAND_PX, EdgeCalibration
from util.evaluation.masks.mask_evaluation import MaskEvaluation
from util.evaluation.masks.mask_results import MaskResults, worst_images
from util.evaluation.masks.mask_summary import DEFINITIONS, left_out_of_lengths, table_header, table_rows
from util.reporting import frame
from util.reporting.figures import png
from util.reporting.masks import mask_figures
from util.reporting.masks.mask_drawing import compared
from util.reporting.visualise import crop, encode_png, fit

_WORST_CASES = 6
_WHOLE_SIDE, _CROP_SIDE = 480, 320  # pixels in the report
_MARGIN = 1.3  # of a structure's extent, that a close-up shows
_TABLE_NOTE = (
    "n: images whose truth has pixels. Dice as the task defines it (both empty: 1), its 95 % interval over "
    "persons, Dice where the truth has pixels, Dice of the pixels that two or more structures have, IoU, "
    "average and 95th percentile of the distance between the outlines, the share of the outlines within 0.5 "
    "and 1 mm, images in which the structure was missed, and in which it was found although it is not there."
)

_ATTRIBUTE_NOTE = (
    "n: images of which the attribute is known. The share of them that is right and its 95 % interval over "
    "persons: of all, and of the images of each true value. Then what was found."
)


def write_report(
    file: str | Path, evaluation: MaskEvaluation, load_image: Callable[[int], np.ndarray]
) -> None:
    """Write the report atomically; ``load_image`` reads image n (H, W) uint8 again, the few worst only."""
    results = evaluation.collected.results
    title = f"{evaluation.folder.name}, {evaluation.subset}"
    dice = float(class_means(results.of("dice"))[-1])
    sections = [
        frame.heading(f"Masks of {title}", 1),
        _origin(evaluation),
        _headline(results),
        frame.heading("Every class"),
        frame.note(" ".join([_TABLE_NOTE, left_out_of_lengths(results)]).strip()),
        frame.table(table_header(results), table_rows(results)),
        *_attributes(evaluation),
        *_mean_field(evaluation),
        frame.heading("Spread over images"),
        _figures(results),
        frame.heading("Worst cases"),
        _worst_cases(evaluation.collected, load_image),
        frame.heading("Definitions"),
        frame.facts(DEFINITIONS),
    ]
    frame.write_page(file, f"{title}: Dice {dice:.4f}", sections)


def _origin(evaluation: MaskEvaluation) -> str:
    """What was evaluated on what."""
    return frame.facts(
        {
            "Checkpoint": " + ".join(map(str, evaluation.looks.checkpoints)),
            "Data": f"{evaluation.folder}, subset {evaluation.subset}",
            "Measured against": f"{evaluation.labels} labels",
            "Trained on": f"{evaluation.trained_on} labels",
            "Looks": str(evaluation.looks),
        }
    )


def _attributes(evaluation: MaskEvaluation) -> list[str]:
    """What the model tells of whole images, a table an attribute; nothing for a model without heads."""
    tables = [attribute_table(results) for results in evaluation.attributes]
    shown = [frame.table(header, rows) for header, *rows in tables]
    return [frame.heading("Attributes of the image"), frame.note(_ATTRIBUTE_NOTE), *shown] if shown else []


def _mean_field(evaluation: MaskEvaluation) -> list[str]:
    """What the mean field did; nothing where none was asked for."""
    table = evaluation.mean_field_table()
    if not table:
        return []
    shown = frame.note("Dice of the same looks without and with it, and the 95 % interval over persons.")
    return [frame.heading("The mean field"), shown, frame.table(table[0], table[1:])]


def _headline(results: MaskResults) -> str:
    tiles = {}
    shown = {"Dice": "dice", "IoU": "iou", "Dice in overlap": "dice_overlap", "NSD at 1 mm": "nsd_1_mm"}
    for title, name in shown.items():
        mean, (low, high) = (
            class_means(results.of(name))[-1],
            intervals(results.of(name), results.persons)[-1],
        )
        if np.isfinite(mean):
            tiles[title] = (f"{mean:.4f}", f"95 % interval {low:.4f} to {high:.4f}")
    distance = float(class_means(results.lengths("assd"))[-1])
    if np.isfinite(distance):
        tiles["ASSD"] = (f"{distance:.3f} {results.length_unit}", "where truth and prediction have pixels")
    missed, invented = (int(np.nansum(results.of(name))) for name in ("missed", "invented"))
    tiles["missed"] = (str(missed), f"structures; {invented} found that are not there")
    error = sum(results.calibration, EdgeCalibration.nothing()).error
    if np.isfinite(error):
        bands = {f"{BAND_MM:g} mm": results.in_mm.any(), f"{BAND_PX:g} px": not results.in_mm.all()}
        band = " or ".join(name for name, there in bands.items() if there)
        tiles["edge calibration"] = (f"{100 * error:.1f} %", f"error within {band} of edges")
    tiles["images"] = (str(len(results.cases)), f"of {len(set(results.persons))} persons")
    return frame.tiles(tiles)


def _figures(results: MaskResults) -> str:
    names = results.class_set.classes
    drawn = {
        "Dice where the structure is there; dots are single images.": mask_figures.spread_by_class(
            results.of("dice_present"), names, "Dice"
        ),
        "Can probabilities near the edges be believed? On the dashed line they are shares.": (
            mask_figures.edge_reliability(results.calibration)
        ),
    }
    distances = results.lengths("assd")
    if np.isfinite(distances).any():
        caption = "Average distance between the outlines, where truth and prediction have pixels."
        drawn[caption] = mask_figures.spread_by_class(distances, names, f"ASSD {results.length_unit}")
    return "".join(frame.figure(png(figure), caption) for caption, figure in drawn.items())


def _worst_cases(collected: CollectedMasks, load_image: Callable[[int], np.ndarray]) -> str:
    """Each of the worst images whole, and a window about its worst structure."""
    pictures = [
        _worst_case(collected, index, load_image(index))
        for index in worst_images(collected.results, _WORST_CASES)
    ]
    return frame.note("Truth red, prediction green.") + "".join(pictures)


def _worst_case(collected: CollectedMasks, index: int, image: np.ndarray) -> str:
    results = collected.results
    dice = results.of("dice")[index]
    worst = int(np.nanargmin(dice))
    truth, found = list(collected.true_masks(index)), list(collected.found_masks(index))
    whole = encode_png(fit(compared(image, truth, found), _WHOLE_SIDE))
    centre, size = _window(truth[worst] | found[worst])
    close = crop(compared(image, [truth[worst]], [found[worst]], width=max(1, size // 200)), centre, size)
    name = results.class_set.classes[worst]
    captions = (
        f"{results.cases[index]}: mean Dice {np.nanmean(dice):.3f}",
        f"{name}: Dice {dice[worst]:.3f}",
    )
    shown = (whole, encode_png(fit(close, _CROP_SIDE)))
    figures = "".join(frame.figure(data, text) for data, text in zip(shown, captions, strict=True))
    return f'<div class="case">{figures}</div>'


def _window(mask: np.ndarray) -> tuple[np.ndarray, int]:
    """Centre (x, y) and side in pixels of a square about the pixels of a mask; the whole of an empty one."""
    rows, columns = mask.nonzero()
    if not len(rows):
        return np.array(mask.shape[::-1]) / 2.0, max(mask.shape)
    low, high = np.array([columns.min(), rows.min()]), np.array([columns.max(), rows.max()]) + 1
    return (low + high) / 2.0, max(16, round(_MARGIN * int((high - low).max())))
