"""The evaluation of a mask model as one self-contained HTML file: nothing is loaded from elsewhere."""

import base64
from collections.abc import Callable, Mapping
from html import escape
from pathlib import Path

import numpy as np

from util.evaluation.masks.mask_evaluation import MaskEvaluation
from util.evaluation.masks.mask_results import worst_images
from util.evaluation.masks.mask_summary import (
    DEFINITIONS,
    headline,
    left_out_of_lengths,
    table_header,
    table_rows,
)
from util.files import write_atomic
from util.reporting.visualise import encode_png, fit

_WORST_CASES = 6
_SIDE = 700  # pixels of a picture
_STYLE = Path(__file__).parent.parent / "report.css"


def write_report(
    file: str | Path, evaluation: MaskEvaluation, load_image: Callable[[int], np.ndarray]
) -> None:
    """Write the report atomically; ``load_image`` reads image n (H, W) uint8, the few worst only."""
    results = evaluation.collected.results
    dice = headline(results)["dice"]
    sections = [
        f"<h1>Masks of {escape(evaluation.folder.name)}, {escape(evaluation.subset)}</h1>",
        _origin(evaluation),
        "<h2>Every class</h2>",
        _table([table_header(results), *table_rows(results)]),
        "<h2>What the numbers are</h2>",
        _pairs(DEFINITIONS),
        "<h2>Worst cases</h2>",
        "<p>True outlines red, predicted ones green.</p>",
        *(_case(evaluation, index, load_image(index)) for index in worst_images(results, _WORST_CASES)),
    ]
    title = escape(f"{evaluation.folder.name} {evaluation.subset}: Dice {dice:.3f}")
    head = f'<meta charset="utf-8"><title>{title}</title><style>{_STYLE.read_text(encoding="utf-8")}</style>'
    body = "\n".join(sections)
    write_atomic(
        file, f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>\n{body}\n</body></html>\n'
    )


def _origin(evaluation: MaskEvaluation) -> str:
    facts = {
        "Checkpoint": " + ".join(map(str, evaluation.looks.checkpoints)),
        "Data": f"{evaluation.folder}, subset {evaluation.subset}",
        "Measured against": f"{evaluation.labels} labels",
        "Trained on": f"{evaluation.trained_on} labels",
        "Looks": str(evaluation.looks),
    }
    if left_out := left_out_of_lengths(evaluation.collected.results):
        facts["Left out"] = left_out
    return _pairs(facts)


def _pairs(facts: Mapping[str, str]) -> str:
    rows = "".join(f"<dt>{escape(key)}</dt><dd>{escape(text)}</dd>" for key, text in facts.items())
    return f"<dl>{rows}</dl>"


def _table(rows: list[list[str]]) -> str:
    head = "".join(f"<th>{escape(cell)}</th>" for cell in rows[0])
    body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows[1:])
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _case(evaluation: MaskEvaluation, index: int, image: np.ndarray) -> str:
    results = evaluation.collected.results
    values = results.of("dice")[index]
    worst = [
        f"{results.class_set.classes[k]} {values[k]:.3f}" for k in np.argsort(values)[:3] if values[k] < 1
    ]
    picture = encode_png(fit(evaluation.overlay(index, image), _SIDE))
    data = base64.b64encode(picture).decode()
    caption = escape(f"{results.cases[index]}: Dice {np.nanmean(values):.3f}; {', '.join(worst)}")
    return f'<figure><img src="data:image/png;base64,{data}"><figcaption>{caption}</figcaption></figure>'
