"""Pictures of overlapping structures on X-rays: outlines, so that nothing hides what lies under it."""

import colorsys
from collections.abc import Iterable, Sequence

import cv2
import numpy as np

TRUTH, PREDICTION = (255, 40, 40), (40, 230, 60)  # RGB, as in the pictures of landmarks


def palette(num_classes: int) -> list[tuple[int, int, int]]:
    """RGB colours that neighbours in the list do not share: hues a golden section apart."""
    shades = (colorsys.hsv_to_rgb(0.618034 * k % 1.0, 0.75, 1.0) for k in range(num_classes))
    return [(round(255 * red), round(255 * green), round(255 * blue)) for red, green, blue in shades]


def outlined(
    image: np.ndarray,
    masks: Iterable[np.ndarray],
    colours: Sequence[tuple[int, int, int]],
    *,
    width: int | None = None,
) -> np.ndarray:
    """(H, W, 3) uint8 RGB copy of an image, (H, W) grey or (H, W, 3) RGB, with the outlines of K masks.

    masks: (H, W) bool each; colours: one a mask; width: pixels of the line, None suits the whole image.
    """
    canvas = cv2.cvtColor(image, cv2.COLOR_GRAY2RGB) if image.ndim == 2 else image.copy()
    width = max(1, round(max(image.shape[:2]) / 500)) if width is None else width
    for mask, colour in zip(masks, colours, strict=True):
        contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(canvas, contours, -1, colour, width)
    return canvas


def compared(
    image: np.ndarray, truth: Iterable[np.ndarray], predicted: Iterable[np.ndarray], width: int | None = None
) -> np.ndarray:
    """(H, W, 3) uint8 RGB: true outlines red, predicted ones green on top."""
    truth, predicted = list(truth), list(predicted)
    below = outlined(image, truth, [TRUTH] * len(truth), width=width)
    return outlined(below, predicted, [PREDICTION] * len(predicted), width=width)


def legend(names: Sequence[str], colours: Sequence[tuple[int, int, int]], height: int) -> np.ndarray:
    """(height, width, 3) uint8 RGB: names in their colours, in as many columns as are needed."""
    line, column = 22, 150
    rows = max(1, (height - 8) // line)
    canvas = np.zeros((height, column * -(-len(names) // rows), 3), np.uint8)
    for index, (name, colour) in enumerate(zip(names, colours, strict=True)):
        place = (8 + column * (index // rows), 18 + line * (index % rows))
        cv2.putText(canvas, name, place, cv2.FONT_HERSHEY_SIMPLEX, 0.45, colour, 1, cv2.LINE_AA)
    return canvas
