"""How large the shape of a landmark set is on a canvas: what windows and jitter are shares of."""

import numpy as np


def shape_size(mean_shape: np.ndarray, size: tuple[int, int]) -> float:
    """Root-mean-square distance of the mean landmarks from their centre, as a share of the canvas height.

    mean_shape: (K, 2) normalised by the canvas; size: (height, width). 0.184 for the 19 landmarks of a
    lateral cephalogram that fills its canvas.
    """
    height, width = size
    places = mean_shape * np.array([width / height, 1.0])
    return float(np.sqrt(((places - places.mean(0)) ** 2).sum(-1).mean()))
