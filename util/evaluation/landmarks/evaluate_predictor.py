"""Errors of whatever predicts: of an ensemble or of several looks, as ``evaluate`` has those of a model."""

from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path

import numpy as np

from datasets.files.image_files import SourceImage
from transforms.sample import PointSample
from util.evaluation.landmarks.metrics import Errors, concatenate
from util.prediction.landmarks.predict import ImageLandmarks, Predictor


def evaluate_predictor(predictor: Predictor, samples: Iterable[PointSample], batch_size: int) -> Errors:
    """Radial errors of ``predictor`` on ``samples``, cases as prepared; ``batch_size`` of them in memory.

    Raises ValueError when there is no sample, one has no spacing, or a prediction is not finite.
    """
    parts, rest = [], iter(samples)
    while batch := list(islice(rest, batch_size)):
        parts.append(errors_of(batch, found_on(batch, predictor)))
    return concatenate(parts)


def found_on(samples: Sequence[PointSample], predictor: Predictor) -> list[ImageLandmarks]:
    """What ``predictor`` finds on cases as prepared, in pixels of their pictures."""
    return predictor(
        [SourceImage(sample.image, sample.spacing, Path(sample.case), None) for sample in samples]
    )


def errors_of(samples: Sequence[PointSample], found: Sequence[ImageLandmarks]) -> Errors:
    """What was ``found_on`` the samples beside their truth."""
    return Errors(
        cases=tuple(sample.case for sample in samples),
        predicted=np.stack([landmarks.points for landmarks in found]),
        truth=np.stack([sample.points for sample in samples]),
        spacing=np.stack([sample.spacing for sample in samples]),
        uncertainty_mm=np.stack([landmarks.uncertainty_mm for landmarks in found]),
        unit=samples[0].unit,
    )
