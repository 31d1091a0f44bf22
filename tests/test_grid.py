"""Grids of pictures and tables of text: everything is in its place."""

import numpy as np
import pytest

from util.reporting.grid import captioned, grid
from util.reporting.text_table import aligned


@pytest.mark.parametrize(
    ("count", "wide", "rows", "columns"), [(1, 1.0, 1, 1), (5, 1.0, 2, 3), (5, 3.0, 2, 4)]
)
def test_tiles_stand_row_by_row_and_the_rest_is_black(count, wide, rows, columns):
    tiles = [np.full((4, 6, 3), number + 1, np.uint8) for number in range(count)]
    picture = grid(tiles, wide)
    assert picture.shape == (4 * rows, 6 * columns, 3)
    shown = picture[::4, ::6, 0].ravel()
    assert shown.tolist() == [*range(1, count + 1), *[0] * (rows * columns - count)]


def test_a_tile_has_its_picture_above_its_caption():
    picture = np.full((30, 20, 3), 7, np.uint8)
    tile = captioned(picture, "III", side=50)
    assert tile.shape == (50, 50, 3) and (tile[:30, 15:35] == 7).all()
    assert not tile[:30, :15].any() and not tile[:30, 35:].any()
    assert tile[32:].any()


def test_columns_are_aligned_and_rules_drawn():
    rows = [["name", "n"], ["all", "10"], ["a longer name", "7"]]
    text = aligned(rows, rules=(1, 2))
    assert text.split("\n") == [
        "name            n",
        "-----------------",
        "all            10",
        "-----------------",
        "a longer name   7",
    ]
