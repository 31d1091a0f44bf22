"""Pictures of labels that look wrong: labels red, the unusual ringed, a line to where they are expected."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import cv2
import numpy as np

from datasets.landmarks.suspects import LabelScores
from util.reporting.grid import captioned, grid
from util.reporting.visualise import LINE, PREDICTION, TRUTH, fit

_SIDE, _CAPTION = 420, 18  # pixels of a tile, and of its line of text
_RINGED = 4.0  # robust standard deviations


@dataclass(frozen=True)
class Labelled:
    """One image to be shown."""

    caption: str
    index: int  # of the image in shapes and scores


def suspect_sheets(
    shown: Sequence[Labelled],
    images: Iterable[np.ndarray],
    shapes: np.ndarray,
    scores: LabelScores,
    a_sheet: int,
) -> Iterator[np.ndarray]:
    """(H, W, 3) uint8 sheets of ``a_sheet`` images each.

    images: grey (H, W), one for each of ``shown``, let go once drawn; shapes: (N, K, 2) pixels of them.
    """
    tiles = (_tile(one, image, shapes[one.index], scores) for one, image in zip(shown, images, strict=True))
    while sheet := list(islice(tiles, a_sheet)):
        yield grid(sheet, wide=1.5)


def _tile(one: Labelled, image: np.ndarray, points: np.ndarray, scores: LabelScores) -> np.ndarray:
    small = fit(image, _SIDE - _CAPTION)
    zoom = small.shape[0] / image.shape[0]
    picture = cv2.cvtColor(small, cv2.COLOR_GRAY2RGB)
    unusual = scores.of_labels[one.index] > _RINGED
    for point, expected, ringed in zip(points, scores.expected[one.index], unusual, strict=True):
        if not np.isfinite(point).all():
            continue
        place = _index(point * zoom)
        if ringed and np.isfinite(expected).all():
            cv2.line(picture, place, _index(expected * zoom), LINE, 1, cv2.LINE_AA)
            cv2.circle(picture, _index(expected * zoom), 2, PREDICTION, cv2.FILLED, cv2.LINE_AA)
        if ringed:
            cv2.circle(picture, place, 5, LINE, 1, cv2.LINE_AA)
        cv2.circle(picture, place, 1, TRUTH, cv2.FILLED, cv2.LINE_AA)
    return captioned(picture, one.caption[-52:], _SIDE)


def _index(point: np.ndarray) -> tuple[int, int]:
    """Continuous pixels -> OpenCV's whole-number index of the nearest pixel."""
    x, y = np.clip(np.round(point - 0.5), -4096, 4096).astype(int)
    return int(x), int(y)
