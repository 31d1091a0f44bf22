"""The parts of a report in one HTML file: nothing is loaded from elsewhere."""

import base64
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path

from util.files import write_atomic

_STYLE = Path(__file__).with_name("report.css")


def write_page(file: str | Path, title: str, sections: Iterable[str]) -> None:
    """Write a page of HTML sections atomically."""
    style = _STYLE.read_text(encoding="utf-8")
    head = f'<meta charset="utf-8"><title>{escape(title)}</title><style>{style}</style>'
    body = "\n".join(sections)
    write_atomic(
        file, f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>\n{body}\n</body></html>\n'
    )


def heading(text: str, level: int = 2) -> str:
    return f"<h{level}>{escape(text)}</h{level}>"


def facts(items: Mapping[str, str]) -> str:
    """What something is, a line each."""
    lines = "".join(f"<dt>{escape(key)}</dt><dd>{escape(value)}</dd>" for key, value in items.items())
    return f"<dl>{lines}</dl>"


def tiles(items: Mapping[str, tuple[str, str]]) -> str:
    """Numbers that stand out: name -> number and what to know of it."""
    cells = "".join(
        f"<div>{escape(name)}<b>{escape(value)}</b>{escape(note)}</div>"
        for name, (value, note) in items.items()
    )
    return f'<div class="numbers">{cells}</div>'


def note(text: str) -> str:
    return f'<p class="note">{escape(text)}</p>'


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """The first row stands out."""
    titles = "".join(f"<th>{escape(title)}</th>" for title in header)
    lines = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f'<div class="wide"><table><thead><tr>{titles}</tr></thead><tbody>{lines}</tbody></table></div>'


def figure(png: bytes, caption: str) -> str:
    """A picture inside the page."""
    source = f"data:image/png;base64,{base64.b64encode(png).decode()}"
    text = escape(caption)
    return f'<figure><img src="{source}" alt="{text}"><figcaption>{text}</figcaption></figure>'
