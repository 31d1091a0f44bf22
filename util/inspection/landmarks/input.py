"""From a file and the command line's words to what an inspection needs."""

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

from datasets.files.image_files import SourceImage
from datasets.landmarks.landmark_set import LandmarkSet
from transforms.geometry import square_side
from transforms.sample import MILLIMETRES, PointSample, Sample
from util.config import nearest
from util.inspection.landmarks.canvas_drawing import Canvas
from util.prediction.landmarks.image_landmarks import Transforms, canvas_sample, model_input


def as_model_input(
    image: SourceImage, transforms: Transforms, landmark_set: LandmarkSet
) -> tuple[Tensor, Canvas]:
    """The (1, 1, H, W) tensor that the model is given for an image, and the canvas to draw on."""
    sample = canvas_sample(image, transforms)
    return torch.from_numpy(model_input([sample])), Canvas(sample.image, landmark_set, mm_per_pixel(sample))


def mm_per_pixel(sample: Sample) -> float:
    """Millimetres per pixel of the image of ``sample``, whose pixels are square; NaN where unknown, as where
    its lengths are in percent: pictures then tell pixels.
    """
    if isinstance(sample, PointSample) and sample.unit != MILLIMETRES:
        return float("nan")
    zoom = np.sqrt(abs(np.linalg.det(sample.to_source[:2, :2])))  # source pixels per pixel
    return float(zoom * square_side(sample.spacing))


def landmark_indices(wanted: Iterable[str], landmark_set: LandmarkSet) -> list[int]:
    """Indices, from 0, of landmarks given by number (from 1), name or abbreviation, each once.

    Raises ValueError for one that the set does not have, with the nearest that it has.
    """
    return list(dict.fromkeys(_index(word, landmark_set) for word in wanted))


def _index(word: str, landmark_set: LandmarkSet) -> int:
    names = landmark_set.landmarks
    if word.isdecimal() and 1 <= int(word) <= len(names):
        return int(word) - 1
    for options in (names, landmark_set.abbreviations):
        if word in options:
            return options.index(word)
    folded = [name.casefold() for name in names]
    if word.casefold() in folded:
        return folded.index(word.casefold())
    raise ValueError(
        f"landmark {word!r} is not among the {len(names)} of {landmark_set.name!r} (numbers from 1, names or "
        f"abbreviations); {nearest(word, names)}"
    )
