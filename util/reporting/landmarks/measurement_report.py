"""Measurements of some images as one self-contained HTML file."""

import base64
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from datasets.files.image_files import read_images
from measurements.table import HEADER, row
from util.files import write_atomic
from util.prediction.landmarks.landmark_files import no_such_xray
from util.prediction.landmarks.measuring import RULER_ERROR
from util.reporting.figures import png
from util.reporting.landmarks.measurement_figures import tracing_picture, wiggle_chart
from util.reporting.visualise import encode_png, fit

_STYLE = Path(__file__).parents[1] / "report.css"
_MOST_IMAGES = 20
_SIDE = 640  # pixels of a picture in the report


def write_report(file: Path, result: Mapping[str, Any]) -> None:
    """Write ``result`` of tools/measure.py atomically; image files are read again for their pictures."""
    images = result["images"][:_MOST_IMAGES]
    left = len(result["images"]) - len(images)
    sections = [
        "<h1>Cephalometric measurements</h1>",
        '<p class="note">Measurements by a model, each with a 95 % interval. Not a diagnosis.</p>',
        _origin(result),
        *(_image(image) for image in images),
        *(f'<p class="note">Not measured: {escape(_failure(one))}</p>' for one in result["failed"]),
        f'<p class="note">{left} more images are in the JSON.</p>' if left else "",
        _flags(result["flags"]),
    ]
    head = (
        '<meta charset="utf-8"><title>Measurements</title>'
        f"<style>{_STYLE.read_text(encoding='utf-8')} tbody tr:first-child {{ font-weight: inherit; "
        "background: none; }} td { text-align: left; }</style>"
    )
    body = "\n".join(sections)
    write_atomic(
        file, f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>\n{body}\n</body></html>\n'
    )


def _origin(result: Mapping[str, Any]) -> str:
    patient = ", ".join(f"{key} {value}" for key, value in result["patient"].items() if value is not None)
    facts = {
        "Model": str(result["model"].get("checkpoint", "not stated")),
        "Learnt from": f"{result['model'].get('labels', 'unknown')} labels",
        "Patient": patient or "nothing stated: norms are compared, but may be of others",
        "Analyses": ", ".join(f"{one['title']} ({one['source']})" for one in result["analyses"]),
        "Shape of the uncertainty": result["landmark_shapes"],
        "Error of the spacing": _scale_error(result["scale_error"]),
    }
    return f"<dl>{''.join(f'<dt>{key}</dt><dd>{escape(value)}</dd>' for key, value in facts.items())}</dl>"


def _scale_error(share: float | None) -> str:
    if share is None:
        return f"{100 * RULER_ERROR:g} % where a ruler tells it, else none is known"
    return f"{100 * share:g} %"


def _image(image: Mapping[str, Any]) -> str:
    name, pixels = _name(image), _pixels(image)
    points = np.array([[row["x"], row["y"]] for row in image["landmarks"]], np.float64)  # None becomes NaN
    parts = [f"<h2>{escape(name)}</h2>"]
    if warning := no_such_xray(image):
        parts.append(f'<p class="note">{escape(warning)}</p>')
    if pixels is None:
        gone = f"{image['file']} cannot be read any more, or is of another size: no picture is shown."
        parts.append(f'<p class="note">{escape(gone)}</p>')
    for analysis in image["analyses"]:
        parts += [f"<h3>{escape(analysis['title'])}</h3>", _table(analysis["measurements"])]
        if analysis["not_measured"]:
            lacking = escape(", ".join(sorted(analysis["not_measured"])))
            parts.append(f'<p class="note">Not measured for lack of landmarks: {lacking}.</p>')
        parts.append(_pictures(pixels, points, analysis))
    return "\n".join(parts)


def _name(image: Mapping[str, Any]) -> str:
    return Path(image["file"]).name + ("" if image.get("slice") is None else f", slice {image['slice']}")


def _failure(failed: Mapping[str, Any]) -> str:
    """Which image of tools/measure.py failed, and why; the reason begins with its file where it says it."""
    error = str(failed["error"])
    return error if error.startswith(failed["file"]) else f"{_name(failed)}: {error}"


def _pixels(image: Mapping[str, Any]) -> np.ndarray | None:
    """(H, W) uint8 of an image record; None where its file cannot be read any more, or is another picture."""
    try:
        images = read_images(Path(image["file"]), image.get("spacing_mm"))
        pixels = next((one.image for one in images if one.slice == image.get("slice")), None)
    except ValueError:
        return None
    if pixels is None:
        return None
    height, width = pixels.shape
    return pixels if (image.get("width", width), image.get("height", height)) == (width, height) else None


def _table(records: Sequence[Mapping[str, Any]]) -> str:
    header = "".join(f"<th>{escape(title)}</th>" for title in HEADER)
    rows = [
        f'<tr title="{escape(_explained(record))}">'
        f"{''.join(f'<td>{escape(cell)}</td>' for cell in row(dict(record)))}</tr>"
        for record in records
    ]
    table = f"<table><thead><tr>{header}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    return f'<div class="wide">{table}</div>'


def _explained(record: Mapping[str, Any]) -> str:
    """What a measurement is, and whose its norm is."""
    norm = record["norm"]
    whose = f" Norm of {norm['population']}, {norm['age']}, {norm['sex']}: {norm['source']}." if norm else ""
    return f"{record['name']}; {record['sign']}. {record['note']}{whose}"


def _pictures(pixels: np.ndarray | None, points: np.ndarray, analysis: Mapping[str, Any]) -> str:
    figures = []
    if pixels is not None:
        drawn = fit(tracing_picture(pixels, points, analysis["tracing"]), _SIDE)
        figures.append((encode_png(drawn), "The lines that the measurements run along; landmarks green."))
    chart = wiggle_chart(analysis["measurements"])
    if chart is not None:
        caption = (
            "Each measurement beside its norm, in standard deviations of the norm; the bar is its 95 % "
            "interval. Unverified norms, and lengths of unknown scale, are left out."
        )
        figures.append((png(chart), caption))
    cells = [
        f'<figure><img src="data:image/png;base64,{base64.b64encode(data).decode()}" alt=""><figcaption>'
        f"{caption}</figcaption></figure>"
        for data, caption in figures
    ]
    return f'<div class="case">{"".join(cells)}</div>'


def _flags(flags: Mapping[str, str]) -> str:
    words = "".join(f"<dt>{name}</dt><dd>{escape(meaning)}</dd>" for name, meaning in flags.items())
    return f"<h2>Flags</h2><dl>{words}</dl>"
