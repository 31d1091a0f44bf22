"""The pictures of measurements: their lines on the X-ray, and the wiggle chart beside the norm."""

from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np
from matplotlib.figure import Figure

from datasets.prepared.case import INDEX_TO_CONTINUOUS
from util.reporting.visualise import overlay

_TRACE = (255, 214, 102)  # RGB
_BLUE, _GREY = "#2b6cb0", "#8a8f98"
_SHIFT = 4  # OpenCV draws in 1/16 pixel
_MOST_SD = 6.0  # of the norm; what lies beyond is drawn at the edge


def tracing_picture(
    image: np.ndarray, points: np.ndarray, tracing: Sequence[Mapping[str, Any]]
) -> np.ndarray:
    """(H, W, 3) uint8 RGB: a grey image (H, W) with the lines that its measurements run along.

    points: (K, 2) landmarks in index coordinates, NaN where missing.
    """
    drawn = overlay(image, points + INDEX_TO_CONTINUOUS)
    width = max(1, round(max(image.shape) / 500))
    for line in tracing:
        start, end = ([round(2**_SHIFT * value) for value in line[key]] for key in ("from", "to"))
        cv2.line(drawn, start, end, _TRACE, width, lineType=cv2.LINE_AA, shift=_SHIFT)
    return drawn


def wiggle_chart(records: Sequence[Mapping[str, Any]]) -> Figure | None:
    """Each measurement as standard deviations from its norm, with its 95 % interval; None without any.

    Only norms that may be applied: verified, with a standard deviation, and lengths of known scale.
    """
    shown = [record for record in records if record["norm"] and record["norm"]["deviations"] is not None]
    if not shown:
        return None
    figure = Figure(figsize=(7, 1.2 + 0.34 * len(shown)), layout="constrained")
    axes = figure.add_subplot()
    places = np.arange(len(shown))
    deviations = np.array([record["norm"]["deviations"] for record in shown])
    axes.axvspan(-1, 1, color="#e8f0f8")
    axes.axvline(0, color=_GREY, linewidth=1)
    for place, deviation, record in zip(places, deviations, shown, strict=True):
        if record["interval95"] is not None:
            low, high = (
                (end - record["norm"]["mean_for_age"]) / record["norm"]["sd"] for end in record["interval95"]
            )
            axes.plot(
                [max(low, -_MOST_SD), min(high, _MOST_SD)],
                [place, place],
                color=_BLUE,
                linewidth=5,
                alpha=0.3,
            )
        axes.plot(np.clip(deviation, -_MOST_SD, _MOST_SD), place, "o", color=_BLUE)
    axes.plot(deviations.clip(-_MOST_SD, _MOST_SD), places, color=_BLUE, linewidth=1)
    axes.set_yticks(places, [record["code"] for record in shown])
    axes.set(
        xlim=(-_MOST_SD - 0.3, _MOST_SD + 0.3),
        ylim=(len(shown) - 0.5, -0.5),  # the first at the top, none cut by the frame
        xlabel="standard deviations of the norm from its mean",
    )
    axes.grid(axis="x", color="#e5e7eb")
    axes.set_axisbelow(True)
    return figure
