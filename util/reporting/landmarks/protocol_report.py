"""What following a protocol brings, as one self-contained HTML file."""

import base64
from collections.abc import Sequence
from html import escape
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from datasets.landmarks.landmark_set import LandmarkSet
from util.evaluation.landmarks.metrics import Errors
from util.evaluation.landmarks.protocol_gain import Gain, Side, face_size_mm
from util.evaluation.landmarks.unit_names import short
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
    left_out: Sequence[str] = (),
) -> None:
    """Write the report atomically; ``errors`` are those of the model without the protocol.

    ``left_out``: a sentence on each film that teaches nothing.
    """
    size = face_size_mm(errors, protocol)
    figures = {
        offset_figure(protocol, landmark_set.abbreviations): (
            "From where the model marks (blue point) to where the readers do (end of the red line), drawn "
            f"{_MAGNIFIED} times as long as it is, on the model's mean face."
        ),
    }
    if found.expected_mre_mm:
        figures[more_films_figure(found, protocol.films)] = _more_films(found)
    pictures = "".join(
        f'<figure><img src="data:image/png;base64,{base64.b64encode(png(figure)).decode()}" alt="">'
        f"<figcaption>{caption}</figcaption></figure>"
        for figure, caption in figures.items()
    )
    name, films = Path(checkpoint).name, "1 film" if protocol.films == 1 else f"{protocol.films} films"
    sections = [
        f"<h1>{escape(name)} follows {films} of {escape(protocol.labels)} labels</h1>",
        f"<p>{_what_it_does(protocol, size, errors.unit)}</p>",
        *(f"<p>Warning: {warning}.</p>" for warning in filter(None, [found.warning(protocol.films)])),
        _sides(found, protocol.films),
        f'<div class="case">{pictures}</div>',
        "<h2>Every landmark, the largest offset first</h2>",
        _table(protocol, landmark_set, size, short(errors.unit)),
        '<p class="note">Right and down are those of the drawing above. A face that looks the other way gets '
        "the mirrored offset, a turned one the turned offset. An offset that is shorter than about twice its "
        "standard error may be none.</p>",
        f'<p class="note">Films: {escape(", ".join(errors.cases))}.</p>',
        *(f'<p class="note">Left out: {escape(sentence)}.</p>' for sentence in left_out),
    ]
    head = (
        f'<meta charset="utf-8"><title>Protocol</title><style>{_STYLE.read_text(encoding="utf-8")} '
        "tbody tr:first-child { font-weight: inherit; background: none; } "
        ".case figure { flex: 1 1 20em; }</style>"
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
    axes.set(xlabel="marked films", ylabel=f"expected mean radial error, {found.unit}")
    axes.grid(color="#e5e7eb")
    return figure


def _what_it_does(protocol: ProtocolOffsets, size_mm: float, unit: str) -> str:
    if protocol.clear_of_chance():
        return (
            "The model finds each landmark as before. Then it is moved by the offset below, to where these "
            "readers mark it."
        )
    longest = np.linalg.norm(protocol.offset, axis=-1).max() * size_mm
    return (
        "On these films the model differs from the readers by no more than chance: no offset below is longer "
        f"than twice its standard error. Landmarks move by what is left of it, at most {longest:.2f} {unit}."
    )


def _sides(found: Gain, films: int) -> str:
    """What the films say, in words and as a table."""
    rows = [("the model as it was", found.before)]
    if found.after is None:
        note = "One film has no others to judge it by: mark a second one to see what the offsets bring."
    else:
        gained = found.before.mre_mm - found.after.mre_mm
        note = (
            f"Following lowers the mean error on these films by {gained:.2f} {found.unit}."
            if gained >= 0.005
            else "Following does not lower the mean error on these films."
        )
        note += f" Each film was judged by the offsets of the other {films - 1}."
        rows.append(("following the readers", found.after))
    cells = "".join(_row(name, side) for name, side in rows)
    titles = (
        *("", f"mean error (MRE), {found.unit}", f"landmarks within 2 {short(found.unit)}, %"),
        *("errors within the 68 % radius, %", "errors within the 95 % radius, %"),
    )
    header = "".join(f"<th>{title}</th>" for title in titles)
    return (
        f"<p>{note}</p><table><thead><tr>{header}</tr></thead><tbody>{cells}</tbody></table>"
        '<p class="note">The radii are what the model says of its own uncertainty; right ones hold 68 and '
        "95 %.</p>"
    )


def _row(name: str, side: Side) -> str:
    numbers = [f"{side.mre_mm:.3f}", f"{side.sdr2_percent:.1f}"]
    numbers += [f"{held:.1f}" for held in side.coverage_percent.values()]
    return f"<tr><td>{name}</td>{''.join(f'<td>{number}</td>' for number in numbers)}</tr>"


def _more_films(found: Gain) -> str:
    """What more marked films would bring."""
    (_, now), *later = found.expected_mre_mm.items()
    more = ", ".join(f"{mre:.2f} with {films} more" for films, mre in later)
    return f"The mean error to expect on a new film, as the fit itself says: {now:.2f} {found.unit}; {more}."


def _table(protocol: ProtocolOffsets, landmark_set: LandmarkSet, size_mm: float, unit: str) -> str:
    titles = ("landmark", f"offset, {unit}", f"to the right, {unit}", f"down, {unit}")
    titles += (f"standard error each way, {unit}", "uncertainty, times what it was")
    header = "".join(f"<th>{title}</th>" for title in titles)
    offset, error = size_mm * protocol.offset, size_mm * np.sqrt(protocol.variance)
    length = np.linalg.norm(offset, axis=-1)
    rows = [
        f"<tr><td>{escape(landmark_set.landmarks[k])}</td><td>{length[k]:.2f}</td>"
        f"<td>{offset[k, 0]:+z.2f}</td><td>{offset[k, 1]:+z.2f}</td><td>{error[k]:.2f}</td>"
        f"<td>{protocol.factor[k]:.2f}</td></tr>"
        for k in np.argsort(-length.round(2), kind="stable")
    ]
    return f"<table><thead><tr>{header}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
