"""Sizes of found structures: area, length, width, what they share."""

import csv
import math

import numpy as np
import pytest

from datasets.masks.raster import fill, pack
from tests.support.tiny_masks import CHEST, found_of
from util.prediction.masks.image_masks import ImageMasks
from util.prediction.masks.measurements import COLUMNS, csv_text, measured


def rotated_box(length: float, width: float, degrees: float) -> np.ndarray:
    """(200, 200) mask of a rectangle, in pixels."""
    angle = math.radians(degrees)
    along, across = (
        np.array([math.cos(angle), math.sin(angle)]),
        np.array([-math.sin(angle), math.cos(angle)]),
    )
    corners = [
        100 + a * length / 2 * along + b * width / 2 * across for a, b in ((1, 1), (-1, 1), (-1, -1), (1, -1))
    ]
    return fill(np.array(corners), (200, 200))


@pytest.mark.parametrize("degrees", [0.0, 30.0, 90.0 - 1e-6, -60.0])
def test_length_and_width_follow_the_main_axis(degrees):
    masks = [rotated_box(120, 40, degrees), rotated_box(30, 20, degrees)]
    found = ImageMasks(pack(masks, (200, 200), 1), 2, np.array([0.5, 0.5]))
    bone, small = measured(found, ("bone", "small"))
    assert bone["length_mm"] == pytest.approx(60.0, abs=1.0) and bone["width_mm"] == pytest.approx(
        20.0, abs=1.0
    )
    assert bone["area_mm2"] == pytest.approx(1200.0, rel=0.01)
    assert abs((bone["angle_degrees"] - degrees + 90) % 180 - 90) < 1.0
    assert bone["center_x"] == pytest.approx(99.5, abs=0.1) and bone["center_y"] == pytest.approx(
        99.5, abs=0.1
    )
    assert small["overlap_px"] == small["area_px"] == bone["overlap_px"]
    assert small["overlaps"] == {"bone": 1.0} and bone["overlaps"]["small"] == pytest.approx(0.125, abs=0.01)


def test_measurements_take_pixels_that_are_not_square():
    """The box is 120 x 40 pixels along the axes: 0.2 mm wide pixels make it lie the other way round."""
    found = ImageMasks(pack([rotated_box(120, 40, 0.0)], (200, 200), 1), 1, np.array([0.2, 1.0]))
    (bone,) = measured(found, ("bone",))
    assert bone["length_mm"] == pytest.approx(40.0, abs=1.0) and bone["width_mm"] == pytest.approx(
        24.0, abs=0.5
    )
    assert abs(bone["angle_degrees"]) == pytest.approx(90.0)
    unknown = ImageMasks(found.planes, 1, np.full(2, np.nan))
    (bone,) = measured(unknown, ("bone",))
    assert bone["length_mm"] is None and bone["area_mm2"] is None and bone["area_px"] == 4800


def test_measurements_as_csv_leave_unknown_cells_empty():
    found = found_of(1, math.nan)
    rows = measured(found, CHEST.classes)
    assert [row["class"] for row in rows] == ["right_lung", "left_lung", "heart"], "no clavicle there"
    lines = list(csv.DictReader([",".join(COLUMNS), *csv_text(rows, "a, b.png", None).splitlines()]))
    assert (
        lines[0]["file"] == "a, b.png"
        and lines[0]["area_mm2"] == ""
        and lines[0]["area_px"] == str(rows[0]["area_px"])
    )
    assert lines[2]["overlaps"].split()[0].startswith("right_lung:")
