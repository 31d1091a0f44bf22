"""What the tool that times the review page refuses before it starts anything."""

import pytest

from tests.support.run_tool import run_tool


@pytest.mark.parametrize("films", ["0", "10"])
def test_too_few_films_are_refused(films: str):
    ended = run_tool("tools/measure_review_page.py", "--predictions", "one.json", "--films", films)
    assert ended.returncode == 1
    assert f"--films {films}: expected at least 11" in ended.stderr
