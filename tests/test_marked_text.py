"""Generated passages replace what stands between their markers, and nothing else."""

from pathlib import Path

import pytest

from util.benchmark.marked_text import require_marked, write_marked

TEXT = "# Title\n\n<!-- speed: begin -->\nold\n<!-- speed: end -->\n\nabout äöü <!-- other: begin -->\n"
ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def page(tmp_path: Path) -> Path:
    file = tmp_path / "page.md"
    file.write_text(TEXT, encoding="utf-8")
    return file


def test_only_the_passage_changes_and_writing_it_again_changes_nothing(page: Path) -> None:
    write_marked(page, "speed", "| new |\n| table |\n")
    once = page.read_text(encoding="utf-8")
    assert once == TEXT.replace("old", "| new |\n| table |")
    write_marked(page, "speed", "| new |\n| table |\n")
    assert page.read_text(encoding="utf-8") == once


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("nothing", "0 times the marker <!-- speed: begin -->"),
        ("<!-- speed: begin -->", "0 times the marker <!-- speed: end -->"),
        (TEXT + TEXT, "2 times the marker <!-- speed: begin -->"),
        ("<!-- speed: end --> <!-- speed: begin -->", "Exchange them"),
    ],
)
def test_a_file_without_both_markers_is_refused_and_left_alone(text: str, expected: str, page: Path) -> None:
    page.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=expected) as error:
        write_marked(page, "speed", "new")
    assert str(page) in str(error.value)
    assert page.read_text(encoding="utf-8") == text


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"absent\.md not found"):
        require_marked(tmp_path / "absent.md", "speed")


def test_the_readme_has_the_markers_of_its_speed_table() -> None:
    before, after = require_marked(ROOT / "README.md", "benchmark_model")
    assert before.strip() and after.strip()
