"""How landmarks lie about their mean over a data set: what a model that starts at the mean must make up."""

from dataclasses import dataclass

import numpy as np

from datasets.landmarks.landmark_set import LandmarkSet
from datasets.prepared.prepared import PreparedDataset
from util.inspection.landmarks.input import mm_per_pixel


@dataclass(frozen=True)
class ShapeSpread:
    """Mean and covariance of K landmarks over the cases of a split, on the canvas of its transforms."""

    mean: np.ndarray  # (K, 2) in ``unit``, from the canvas's top left corner
    covariance: np.ndarray  # (K, 2, 2) in ``unit`` squared; NaN below two cases
    count: np.ndarray  # (K,) cases that have the landmark
    canvas: np.ndarray  # (2,) mean width and height of the canvas in ``unit``
    landmark_set: LandmarkSet
    unit: str  # "mm", or "px" of the canvas when the spacing of a case is unknown

    @property
    def deviations(self) -> np.ndarray:
        """(K, 2) standard deviation along the longer and the shorter axis of each ellipse, in ``unit``."""
        variances = np.full(self.mean.shape, np.nan)
        known = np.isfinite(self.covariance).all((-2, -1))
        variances[known] = np.linalg.eigvalsh(self.covariance[known])[:, ::-1]
        return np.sqrt(np.clip(variances, 0.0, None))


def measure_spread(dataset: PreparedDataset) -> ShapeSpread:
    """Mean shape and spread of ``dataset`` under its transforms, without reading an image.

    A case's distance from the mean is counted in its own millimetres.
    """
    samples = [dataset.without_pixels(index) for index in range(len(dataset))]
    points = np.stack([sample.points for sample in samples])  # (N, K, 2) canvas pixels
    millimetres = np.array([mm_per_pixel(sample) for sample in samples])
    known = bool(np.isfinite(millimetres).all())
    per_pixel = millimetres if known else np.ones(len(samples))
    count = np.isfinite(points).all(-1).sum(0)  # (K,)
    mean = np.nansum(points, 0) / np.where(count, count, np.nan)[:, None]
    offsets = np.nan_to_num((points - mean) * per_pixel[:, None, None])  # a missing one adds nothing
    freedom = np.where(count > 1, count - 1.0, np.nan)
    covariance = np.einsum("nki,nkj->kij", offsets, offsets) / freedom[:, None, None]
    usual = per_pixel.mean()
    return ShapeSpread(
        mean=mean * usual,
        covariance=covariance,
        count=count,
        canvas=np.array(samples[0].size) * usual,
        landmark_set=dataset.landmark_set,
        unit="mm" if known else "px",
    )
