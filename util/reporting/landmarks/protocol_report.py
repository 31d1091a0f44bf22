"""What following a protocol brings, as one self-contained HTML file."""

import base64
from html import escape
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from datasets.landmarks.landmark_set import LandmarkSet
from util.evaluation.landmarks.metrics import Errors
from util.evaluation.landmarks.protocol_gain import Gain, Side, face_size_mm
from util.files import write_atomic
from util.prediction.landmarks.protocol import ProtocolOffsets
from util.reporting.figures import png

_STYLE = Path(__file__).parents[1] / "report.css"
_BLUE, _RED, _MAGNIFIED = "#2b6cb0", "#c53030", 3


def write_report(
    file: Path,
    errors: Errors,
    protocol: ProtocolOffsets,
    found: Gain,
    *,
    landmark_set: LandmarkSet,
    checkpoint: str,
) -> None:
    """Write the report atomically; ``errors`` are those of the model without the protocol."""
    size = face_size_mm(errors, protocol)
    figures = {
        offset_figure(protocol, landmark_set.abbreviations): (
            f"Where the readers mark (red) beside where the model does (blue), the offset {_MAGNIFIED} times "
            "as long as it is; upright, as the model's mean face."
        ),
        more_films_figure(found, protocol.films): (
            "The mean radial error to expect on a new film, as the fit itself says, by how many films are "
            "marked."
        ),
    }
    pictures = "".join(
        f'<figure><img src="data:image/png;base64,{base64.b64encode(png(figure)).decode()}" alt="">'
        f"<figcaption>{caption}</figcaption></figure>"
        for figure, caption in figures.items()
    )
    name = Path(checkpoint).name
    sections = [
        f"<h1>{escape(name)} follows {protocol.films} films of {escape(protocol.labels)} labels</h1>",
        _sides(found),
        f'<div class="case">{pictures}</div>',
        "<h2>Every landmark</h2>",
        _table(protocol, landmark_set, size),
    ]
    head = (
        f'<meta charset="utf-8"><title>Protocol</title><style>{_STYLE.read_text(encoding="utf-8")} '
        "tbody tr:first-child { font-weight: inherit; background: none; }</style>"
    )
    body = "\n".join(sections)
    write_atomic(
        file, f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>\n{body}\n</body></html>\n'
    )


def offset_figure(protocol: ProtocolOffsets, names: tuple[str, ...]) -> Figure:
    """The offsets at the places of the reference face."""
    figure = Figure(figsize=(6, 6), layout="constrained")
    axes = figure.add_subplot()
    for place, offset, name in zip(protocol.reference, protocol.offset, names, strict=True):
        end = place + _MAGNIFIED * offset
        axes.plot(*np.stack([place, end]).T, color=_RED, linewidth=1.5)
        axes.plot(*place, "o", color=_BLUE, markersize=4)
        axes.annotate(
            name, (float(place[0]), float(place[1])), xytext=(3, 3), textcoords="offset points", fontsize=8
        )
    axes.set(aspect="equal", xticks=[], yticks=[])
    axes.invert_yaxis()
    return figure


def more_films_figure(found: Gain, films: int) -> Figure:
    """Expected mean radial error by the number of marked films."""
    figure = Figure(figsize=(5, 4), layout="constrained")
    axes = figure.add_subplot()
    axes.plot(
        [films + more for more in found.expected_mre_mm],
        list(found.expected_mre_mm.values()),
        "o-",
        color=_BLUE,
    )
    axes.set(xlabel="marked films", ylabel="expected mean radial error, mm")
    axes.grid(color="#e5e7eb")
    return figure


def _sides(found: Gain) -> str:
    rows = [("as it was", found.before)]
    rows += [("each film by the others", found.after)] if found.after else []
    note = "" if found.after else '<p class="note">One film has no others to judge it by.</p>'
    cells = "".join(_row(name, side) for name, side in rows)
    titles = ("", "MRE, mm", "within 2 mm, %", "68 % radius holds, %", "95 % radius holds, %")
    header = "".join(f"<th>{title}</th>" for title in titles)
    return f"<table><thead><tr>{header}</tr></thead><tbody>{cells}</tbody></table>{note}"


def _row(name: str, side: Side) -> str:
    numbers = [f"{side.mre_mm:.3f}", f"{side.sdr2_percent:.1f}"]
    numbers += [f"{held:.1f}" for held in side.coverage_percent.values()]
    return f"<tr><td>{name}</td>{''.join(f'<td>{number}</td>' for number in numbers)}</tr>"


def _table(protocol: ProtocolOffsets, landmark_set: LandmarkSet, size_mm: float) -> str:
    titles = ("landmark", "right, mm", "down, mm", "± (each axis), mm", "uncertainty times")
    header = "".join(f"<th>{title}</th>" for title in titles)
    rows = [
        f"<tr><td>{escape(name)}</td><td>{right:+.2f}</td><td>{down:+.2f}</td><td>{error:.2f}</td>"
        f"<td>{factor:.2f}</td></tr>"
        for name, (right, down), error, factor in zip(
            landmark_set.landmarks,
            size_mm * protocol.offset,
            size_mm * np.sqrt(protocol.variance),
            protocol.factor,
            strict=True,
        )
    ]
    return f"<table><thead><tr>{header}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
