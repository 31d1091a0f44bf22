"""The cardiothoracic ratio: the heart's width over the chest's, both level."""

import numpy as np

HEART, LUNGS = (
    ("heart, right border (outermost)", "heart, left border (outermost)"),
    (
        "right lung, outermost",
        "left lung, outermost",
    ),
)


def cardiothoracic_ratio(points: np.ndarray, names: list[str]) -> np.ndarray:
    """(N,) of (N, K, 2) points called ``names``; NaN where one of the four is missing.

    Widths are along the image's rows, as on the film (Danzer, 1919): the extreme points of either side rarely
    lie level. Raises ValueError where the names lack one.
    """
    absent = [name for name in (*HEART, *LUNGS) if name not in names]
    if absent:
        raise ValueError(f"landmarks {absent} are not there, expected those of the heart and of both lungs.")
    heart, chest = ([points[:, names.index(name), 0] for name in pair] for pair in (HEART, LUNGS))
    return np.abs(heart[1] - heart[0]) / np.abs(chest[1] - chest[0])
