"""What a predicted mask comes to beside the true one: every number of one class in one image.

A class that nobody looked for in an image (``known`` is false) counts nowhere: all its numbers are NaN.
Where truth or prediction is empty:

| | both empty | only the truth empty | only the prediction empty |
|---|---|---|---|
| ``dice``, ``iou`` | 1 | at most 1e-4, in effect 0 | at most 1e-4, in effect 0 |
| ``dice_present`` | not counted | not counted | 0 |
| ``assd``, ``hd95`` | not counted | not counted, but in ``invented`` | not counted, but in ``missed`` |
| ``nsd`` | not counted | 0 | 0 |
| ``dice_overlap`` | not counted | not counted | 0 |
"""

import math
from dataclasses import dataclass, fields

import numpy as np

from util.evaluation.masks.surface import surface_distances

SMOOTHING = 1e-4  # of the hand task's Dice: both masks empty give 1, one of them about 0
TOLERANCES_MM = (0.5, 1.0)


@dataclass(frozen=True)
class MaskNumbers:
    """One class in one image. Lengths are in mm, or in pixels where the image has no spacing."""

    dice: float  # (2 |A and B| + 1e-4) / (|A| + |B| + 1e-4), as the hand task defines it
    dice_present: float  # 2 |A and B| / (|A| + |B|) where the truth has pixels
    iou: float  # (|A and B| + 1e-4) / (|A or B| + 1e-4)
    assd: float
    hd95: float
    nsd_0_5_mm: float  # NaN without a spacing
    nsd_1_mm: float
    dice_overlap: float  # ``dice_present`` of the pixels that the truth gives two or more classes
    missed: float  # 1 where the truth has pixels and the prediction none, else 0
    invented: float  # 1 where it is the other way round
    true_area: float  # pixels
    predicted_area: float

    @classmethod
    def unknown(cls) -> "MaskNumbers":
        return cls(*[math.nan] * len(fields(cls)))


NUMBERS = tuple(field.name for field in fields(MaskNumbers))


def mask_numbers(
    truth: np.ndarray, predicted: np.ndarray, overlap: np.ndarray, spacing: np.ndarray
) -> MaskNumbers:
    """Compare two (H, W) bool masks of one image.

    overlap: (H, W) bool, pixels that the truth gives two or more classes; spacing: (2,) mm per pixel along
    x and y, NaN where unknown.
    """
    common, true_area, area = _counts(truth, predicted)
    union = true_area + area - common
    in_mm = bool(np.isfinite(spacing).all())
    distances = surface_distances(truth, predicted, spacing if in_mm else np.ones(2))
    return MaskNumbers(
        dice=(2 * common + SMOOTHING) / (true_area + area + SMOOTHING),
        dice_present=2 * common / (true_area + area) if true_area else math.nan,
        iou=(common + SMOOTHING) / (union + SMOOTHING),
        assd=distances.average,
        hd95=distances.hausdorff95,
        nsd_0_5_mm=distances.within(TOLERANCES_MM[0]) if in_mm else math.nan,
        nsd_1_mm=distances.within(TOLERANCES_MM[1]) if in_mm else math.nan,
        dice_overlap=_dice_inside(truth, predicted, overlap),
        missed=float(true_area > 0 and area == 0),
        invented=float(true_area == 0 and area > 0),
        true_area=float(true_area),
        predicted_area=float(area),
    )


def _counts(truth: np.ndarray, predicted: np.ndarray) -> tuple[int, int, int]:
    """Pixels in common, of the truth, and predicted."""
    return int((truth & predicted).sum()), int(truth.sum()), int(predicted.sum())


def _dice_inside(truth: np.ndarray, predicted: np.ndarray, zone: np.ndarray) -> float:
    common, true_area, area = _counts(truth[zone], predicted[zone])
    return 2 * common / (true_area + area) if true_area else math.nan
