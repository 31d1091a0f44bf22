"""README, docs and the weights' card: links lead somewhere, lines fit, the README stays short."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
TEXTS = (ROOT / "README.md", ROOT / "weights/README.md", *sorted((ROOT / "docs").glob("*.md")))
NAMES = [str(file.relative_to(ROOT)) for file in TEXTS]
WIDTH = 110
LINK = re.compile(r"\]\(([^()\s]+)\)")


def prose(text: str) -> Iterator[tuple[int, str]]:
    """Number and text of the lines outside of code blocks."""
    fenced = False
    for number, line in enumerate(text.splitlines(), start=1):
        if line.lstrip().startswith("```"):
            fenced = not fenced
        elif not fenced:
            yield number, line


def anchors(text: str) -> set[str]:
    """What ``#...`` may name, by GitHub's rule: lower case, no punctuation, hyphens, numbers for repeats."""
    found: set[str] = set()
    for _, line in prose(text):
        if heading := re.match(r"#{1,6} +(.*)", line):
            words = LINK.sub("]", heading[1]).lower().strip()
            slug = re.sub(r"[^\w\- ]", "", words).replace(" ", "-")
            repeats = [name for name in found if re.fullmatch(rf"{re.escape(slug)}(-\d+)?", name)]
            found.add(f"{slug}-{len(repeats)}" if repeats else slug)
    return found


def broken_links(file: Path) -> list[str]:
    """Relative links of ``file`` whose file or heading is not there."""
    text = "\n".join(line for _, line in prose(file.read_text(encoding="utf-8")))
    broken = []
    for link in LINK.findall(text):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = file.parent / path if path else file
        if not target.exists() or (anchor and anchor not in anchors(target.read_text(encoding="utf-8"))):
            broken.append(link)
    return broken


@pytest.mark.parametrize("name", NAMES)
def test_every_relative_link_leads_to_a_file_and_a_heading(name: str) -> None:
    assert broken_links(ROOT / name) == []


def test_a_broken_link_is_seen(tmp_path: Path) -> None:
    (tmp_path / "other.md").write_text("# A title, *so*\n\n## Twice\n\n## Twice\n\n```\n# no heading\n```\n")
    page = tmp_path / "page.md"
    page.write_text(
        "# Here\n[a](other.md#a-title-so) [b](#here) [c](other.md#twice-1) [d](https://example.org/x)\n"
        "[e](absent.md) [f](other.md#twice-2) [g](other.md#no-heading) [h](#there)\n"
    )
    assert broken_links(page) == ["absent.md", "other.md#twice-2", "other.md#no-heading", "#there"]


@pytest.mark.parametrize("name", NAMES)
def test_prose_is_wrapped(name: str) -> None:
    """Tables and pictures cannot be wrapped; code is as it is typed."""
    lines = prose((ROOT / name).read_text(encoding="utf-8"))
    long = [n for n, line in lines if len(line) > WIDTH and not line.lstrip().startswith(("|", "!["))]
    assert long == [], f"lines of {name} over {WIDTH} characters"


def test_the_readme_is_short_and_names_every_page() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    lines = text.splitlines()
    assert len(lines) <= 130
    assert [n for n, line in enumerate(lines, start=1) if len(line) > WIDTH] == []
    pages = {file.relative_to(ROOT).as_posix() for file in (ROOT / "docs").glob("*.md")}
    assert pages - set(LINK.findall(text)) == set()
