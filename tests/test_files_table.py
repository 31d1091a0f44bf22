"""What docs/files.md says of file formats is what happens to real files of them."""

from tests.support.files_table import DOCUMENT, NAME, rows, table
from util.benchmark.marked_text import require_marked


def test_the_table_in_the_text_is_what_happens():
    before, after = require_marked(DOCUMENT, NAME)
    text = DOCUMENT.read_text(encoding="utf-8")
    written = text[len(before) : len(text) - len(after)].strip()
    assert written == table(), "write it anew: python -m tests.support.files_table"


def test_the_table_has_formats_that_are_read_and_some_that_are_refused():
    lines = table().splitlines()[2:]
    assert len(lines) == len(rows()) >= 35
    assert sum("| read |" in line for line in lines) >= 30
    assert sum("| refused: " in line for line in lines) >= 6
