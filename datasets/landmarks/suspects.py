"""Labels that are probably wrong, ranked: by where a landmark's neighbours have it, by points that coincide,
and, where there are some, by predictions of models that never saw the image.

Shapes are laid over their mean first (``datasets.alignment``); those of fewer than six landmarks are only
made equally large. Then the vector from a landmark to each of its neighbours is compared with the same vector
in all other images, in robust standard deviations (median absolute deviation; Leys et al., 2013). The median
over the neighbours is the landmark's: one wrong neighbour does not spoil it. Nothing has to be trained, and
wrong labels hardly move medians.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from datasets.alignment import LEAST_FOR_ALIGNMENT, laid_over, median_shape
from transforms.geometry import similarity, warp_points

_NEIGHBOURS = 8
_LEAST_IMAGES = 8  # fewer tell nothing of what is usual
_NORMAL = 1.4826  # standard deviations in a median absolute deviation of normal errors
_LEAST_SPREAD = 0.01  # of the shape's size: nobody marks more exactly
_LEAST_LOG_SPREAD = 0.1  # of log distances
_APART = 0.06  # of the shape's size: neighbours that usually lie closer may well coincide
_CLOSENESS = 0.5  # what a standard deviation of a log distance counts, which has a longer tail


@dataclass(frozen=True)
class LabelScores:
    """How unusual each label of N images is, in robust standard deviations; 0 where it is missing."""

    place: np.ndarray  # (N, K) away from where the neighbours have it
    closeness: np.ndarray  # (N, K) nearer to a neighbour than in other images
    prediction: np.ndarray  # (N, K) away from a prediction, in typical errors; 0 where there is none
    nearest: np.ndarray  # (N, K) index of the neighbour that it is too near to
    expected: np.ndarray  # (N, K, 2) pixels, where the neighbours have it; NaN where that is not known

    @property
    def of_labels(self) -> np.ndarray:
        """(N, K) the largest of the three."""
        return np.max([self.place, self.closeness, self.prediction], axis=0)

    @property
    def of_images(self) -> np.ndarray:
        """(N,) that of an image's most unusual label."""
        return self.of_labels.max(1)

    def ranked(self) -> list[int]:
        """Images, the most suspicious first."""
        return [int(n) for n in np.argsort(-self.of_images, kind="stable")]

    def reason(self, n: int, k: int, names: Sequence[str]) -> str:
        """What is unusual about landmark ``k`` of image ``n``, in words."""
        kinds = {
            "lies far from where its neighbours have it": self.place[n, k],
            f"lies at {names[self.nearest[n, k]]}": self.closeness[n, k],
            "lies far from the prediction": self.prediction[n, k],
        }
        return max(kinds, key=lambda kind: kinds[kind])


def label_scores(shapes: np.ndarray, errors: np.ndarray | None = None) -> LabelScores:
    """Scores of (N, K, 2) labels in pixels, NaN where missing.

    errors: (N, K) lengths from cross-validated predictions to the labels, NaN where there is none; each
    landmark's are told in its own median. Raises ValueError for too few images or landmarks.
    """
    count, landmarks = shapes.shape[:2]
    if count < _LEAST_IMAGES or landmarks < 3:
        raise ValueError(
            f"{count} images of {landmarks} landmarks, expected at least {_LEAST_IMAGES} of at least 3: "
            "fewer do not tell what is usual."
        )
    small = landmarks < LEAST_FOR_ALIGNMENT
    placed = _equally_large(shapes) if small else laid_over(shapes, mirrors=(False,))[0]
    usual = median_shape(placed)
    size = float(np.sqrt(np.nansum(np.nanvar(usual, axis=0))))
    neighbours = _neighbours(usual)  # (K, M)
    vectors = placed[:, neighbours] - placed[:, :, None]  # (N, K, M, 2)
    closeness, nearest = _closeness(vectors, neighbours, size)
    return LabelScores(
        place=_place(vectors, size),
        closeness=closeness,
        prediction=np.zeros((count, landmarks)) if errors is None else _in_typical(errors),
        nearest=nearest,
        expected=_expected(shapes, placed, neighbours, vectors),
    )


def _equally_large(shapes: np.ndarray) -> np.ndarray:
    """(N, K, 2) shapes in a size of their own: the median of their distances beside those of all images."""
    one, other = np.triu_indices(shapes.shape[1], 1)
    logs = np.log(np.maximum(np.linalg.norm(shapes[:, one] - shapes[:, other], axis=-1), 1e-6))  # (N, pairs)
    larger = median_shape((logs - median_shape(logs)).T)  # (N,)
    return shapes / np.exp(larger)[:, None, None]


def _neighbours(usual: np.ndarray) -> np.ndarray:
    """(K, M) the landmarks that lie nearest to each in the mean shape, nearest first."""
    distances = np.linalg.norm(usual[:, None] - usual, axis=-1)
    np.fill_diagonal(distances, np.inf)
    return np.argsort(distances, axis=1, kind="stable")[:, : min(_NEIGHBOURS, len(usual) - 1)]


def _place(vectors: np.ndarray, size: float) -> np.ndarray:
    """(N, K) median over neighbours of how unusual the vector to them is."""
    middle = median_shape(vectors)
    spread = np.maximum(_NORMAL * median_shape(np.abs(vectors - middle)), _LEAST_SPREAD * size)
    unusual = np.linalg.norm((vectors - middle) / spread, axis=-1)  # (N, K, M)
    return np.nan_to_num(median_shape(np.moveaxis(unusual, -1, 0)))


def _closeness(vectors: np.ndarray, neighbours: np.ndarray, size: float) -> tuple[np.ndarray, np.ndarray]:
    """(N, K) how much nearer than usual the most crowding neighbour is, and (N, K) which that is."""
    logs = np.log(np.linalg.norm(vectors, axis=-1) / size + 1e-4)  # (N, K, M)
    middle = median_shape(logs)
    spread = np.maximum(_NORMAL * median_shape(np.abs(logs - middle)), _LEAST_LOG_SPREAD)
    nearer = np.nan_to_num(np.where(np.exp(middle) > _APART, (middle - logs) / spread, 0.0)).clip(min=0.0)
    which = nearer.argmax(-1)  # (N, K)
    return _CLOSENESS * nearer.max(-1), neighbours[np.arange(len(neighbours)), which]


def _in_typical(errors: np.ndarray) -> np.ndarray:
    """(N, K) errors in the median of their landmark."""
    return np.nan_to_num(errors / np.maximum(median_shape(errors), 1e-12))


def _expected(
    shapes: np.ndarray, placed: np.ndarray, neighbours: np.ndarray, vectors: np.ndarray
) -> np.ndarray:
    """(N, K, 2) pixels where the median of the neighbours has each landmark."""
    usual = median_shape(vectors)  # (K, M, 2)
    there = median_shape(np.moveaxis(placed[:, neighbours] - usual, 2, 0))  # (N, K, 2) on the mean shape
    back = np.full_like(there, np.nan)
    for n, (points, laid) in enumerate(zip(shapes, placed, strict=True)):
        known = np.isfinite(laid).all(-1)
        if known.sum() >= 2:  # ``placed`` is a similarity of the points: two determine the way back
            back[n] = warp_points(there[n], similarity(laid[known], points[known]))
    return back
