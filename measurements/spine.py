"""What the corners of vertebrae are measured for: end plates, Cobb angles, widths, and slips by one.

V vertebrae from the top down, four corners each: upper left, upper right, lower left, lower right, as seen in
the image. So end plate 2v is the upper and 2v + 1 the lower one of vertebra v, along its two corners.
"""

from dataclasses import dataclass

import numpy as np

from measurements.primitives import Face, Place, angle, length

CORNERS = 4


@dataclass(frozen=True)
class CobbAngles:
    """Of N images, degrees: the challenge's three (Wu et al., 2017), and the end plates of the main one."""

    angles: np.ndarray  # (N, 3) main, the one above it (proximal thoracic), the one below it (lumbar)
    plates: np.ndarray  # (N, 2) the end plates of the main angle, upper first


def vertebrae(points: np.ndarray) -> np.ndarray:
    """(N, 4 V, 2) corners -> (N, V, 4, 2). Raises ValueError for a number that is no multiple of four."""
    if points.shape[1] == 0 or points.shape[1] % CORNERS:
        raise ValueError(
            f"{points.shape[1]} landmarks, expected four corners a vertebra: upper left, upper right, lower "
            "left, lower right, from the top down."
        )
    return points.reshape(len(points), -1, CORNERS, 2)


def require_order(points: np.ndarray) -> None:
    """Raise ValueError unless most vertebrae of (N, 4 V, 2) labels have their corners in the order above.

    Both plates run from left to right, and the lower one lies below. Another order turns a plate round, or
    takes the sides of a vertebra for its plates.
    """
    corners = vertebrae(points)
    down = corners[:, :, 2:].mean(2) - corners[:, :, :2].mean(2)  # (N, V, 2)
    plates = corners[:, :, 1::2] - corners[:, :, ::2]  # (N, V, upper and lower, 2)
    cross = plates[..., 0] * down[:, :, None, 1] - plates[..., 1] * down[:, :, None, 0]
    if (np.nanmedian(cross.reshape(-1, 2), axis=0) <= 0.0).any():
        raise ValueError(
            "corners in another order than upper left, upper right, lower left, lower right, as seen in the "
            "image. Import the labels anew in this order."
        )


def cobb_angles(points: np.ndarray) -> CobbAngles:
    """Main: the largest angle between two end plates. The others: the largest between its upper (lower) end
    plate and one above (below) it; 0 where there is none.

    points: (N, 4 V, 2), square pixels or mm; NaN where a plate lacks a corner: it takes part in no angle.
    NaN for an image with fewer than two whole plates.
    """
    between = plate_angles(points)  # (N, 2 V, 2 V)
    known = np.nan_to_num(between)
    images, count = np.arange(len(points)), between.shape[1]
    largest = known.reshape(len(points), -1).argmax(1)
    first, second = np.sort(np.stack(np.unravel_index(largest, (count, count))), axis=0)
    order = np.arange(count)
    above = np.where(order <= first[:, None], known[images, first], 0.0).max(1)
    below = np.where(order >= second[:, None], known[images, second], 0.0).max(1)
    angles = np.stack([known[images, first, second], above, below], -1)
    told = np.isfinite(between).sum((1, 2)) > count  # each plate is at 0 degrees to itself
    return CobbAngles(np.where(told[:, None], angles, np.nan), np.stack([first, second], -1))


def plate_angles(points: np.ndarray) -> np.ndarray:
    """(N, 2 V, 2 V) degrees between every two end plates, each along its corners from left to right."""
    vertebrae(points)  # checks
    plates, face = _plates(points), _no_face(len(points))
    found = np.zeros((len(points), len(plates), len(plates)))
    for i, one in enumerate(plates):
        for j in range(i):
            found[:, i, j] = found[:, j, i] = angle(one, plates[j], face).value
    return found


def vertebra_widths(points: np.ndarray) -> np.ndarray:
    """(N, V) mean length of the two end plates, in the unit of ``points``."""
    plates, face = _plates(points), _no_face(len(points))
    lengths = np.stack([length(plate, face).value for plate in plates], -1)  # (N, 2 V)
    return lengths.reshape(len(points), -1, 2).mean(-1)


def slips(predicted: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """(N, V) whether a vertebra's predicted centre lies nearest to the true centre of another one.

    Vertebrae without a true centre neither slip nor are slipped to.
    """
    found, there = vertebrae(predicted).mean(2), vertebrae(truth).mean(2)  # (N, V, 2)
    distances = np.linalg.norm(found[:, :, None] - there[:, None], axis=-1)  # (N, predicted, true)
    known = np.isfinite(there).all(-1)
    nearest = np.where(known[:, None], distances, np.inf).argmin(-1)
    return known & (nearest != np.arange(nearest.shape[1]))


def smape(found: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """(N,) the challenge's symmetric error of (N, 3) angles, in percent: sum |a - b| / sum (a + b)."""
    total = (found + truth).sum(-1)
    return 100.0 * np.abs(found - truth).sum(-1) / np.where(total > 0.0, total, np.nan)


def _no_face(count: int) -> Face:
    """No side that it looks to, and no size below which a direction is too short to have one."""
    return Face(np.full(count, np.nan), np.zeros(count))


def _plates(points: np.ndarray) -> list[Place]:
    corners = [Place.of_landmark(points, k) for k in range(points.shape[1])]
    return [corners[k + 1] - corners[k] for k in range(0, len(corners), 2)]
