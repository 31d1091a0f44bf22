"""How shapes vary: laid over their mean (Procrustes), then principal components."""

import numpy as np

from datasets.alignment import LEAST_FOR_ALIGNMENT, laid_over
from transforms.shape_modes import ShapeModes

_LEAST = 5  # complete shapes
_EXPLAINED = 0.95  # of the variance; the rest is mostly how exactly readers mark
_LEAST_RESIDUAL = 1e-3  # of the shape's size
_WITHOUT = "Train with train_transforms.shape_modes=0 and model.search_window=null"


def shape_modes(shapes: np.ndarray, source: object) -> ShapeModes:
    """The modes of the complete ones among (N, K, 2) shapes, in the frame that they lie in.

    Raises ValueError, beginning with ``source``, for fewer than five of them or fewer than six landmarks.
    """
    complete = shapes[np.isfinite(shapes).all(axis=(1, 2))]
    if shapes.shape[1] < LEAST_FOR_ALIGNMENT:
        raise ValueError(
            f"{source}: {shapes.shape[1]} landmarks, expected at least {LEAST_FOR_ALIGNMENT} to tell how "
            f"shapes vary. {_WITHOUT}; elastic deformation needs no shapes."
        )
    if len(complete) < _LEAST:
        raise ValueError(
            f"{source}: {len(complete)} of {len(shapes)} images have all {shapes.shape[1]} landmarks, "
            f"expected at least {_LEAST} to tell how shapes vary. {_WITHOUT}, or annotate more."
        )
    placed, _ = laid_over(complete, mirrors=(False,))
    mean = placed.mean(0)
    modes, left = principal_modes(placed - mean, _EXPLAINED)
    size = float(np.sqrt(mean.var(0).sum()))
    residual = max(float(np.sqrt((left**2).mean())), _LEAST_RESIDUAL * size)
    return ShapeModes(mean=mean, modes=modes, residual=residual)


def principal_modes(deviations: np.ndarray, explained: float) -> tuple[np.ndarray, np.ndarray]:
    """(R, K, 2) principal components of (N, K, 2) deviations from a mean, each one standard deviation long,
    and (K, 2) the standard deviation that they leave over.

    explained: share of the variance that goes into components.
    """
    count, landmarks = deviations.shape[:2]
    rows = deviations.reshape(count, -1) / np.sqrt(count - 1)
    _, lengths, axes = np.linalg.svd(rows, full_matrices=False)
    share = np.cumsum(lengths**2) / np.sum(lengths**2)
    kept = int(np.searchsorted(share, explained)) + 1
    modes = lengths[:kept, None] * axes[:kept]  # (R, 2K)
    left = np.sum(rows**2, 0) - np.sum(modes**2, 0)
    return modes.reshape(kept, landmarks, 2), np.sqrt(left.clip(min=0.0)).reshape(landmarks, 2)
