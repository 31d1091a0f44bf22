"""Landmarks of every slice of a CL-Detection 2023 stack, from one model or several."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from datasets.files.mha_files import Stack, open_stack
from datasets.landmarks.cl_detection2023 import LANDMARKS, read_images
from datasets.prepared.case import INDEX_TO_CONTINUOUS
from util.prediction.landmarks.looks import Looks
from util.prediction.landmarks.predict import Predictor
from util.prediction.predictor import load_predictor, stream


def load_challenge_predictor(
    checkpoints: Sequence[Path], device: str = "auto", scales: Sequence[float] = (1.0,)
) -> Predictor:
    """The model of the challenge's 38 landmarks, or the ensemble of several, at each of ``scales``.

    Raises ValueError for a model of other landmarks, a checkpoint given twice, scales that make no sense.
    """
    looks = Looks(tuple(checkpoints), tuple(scales))
    members = [load_predictor(file, device) for file in checkpoints]
    for member in members:
        _require_challenge_landmarks(member)
    return looks.predictor(members)


def predict_stack(predictor: Predictor, stack_file: Path, batch_size: int) -> dict[int, np.ndarray]:
    """Slice (from 1) -> (38, 2) continuous pixels of the padded slice.

    Raises ValueError when the stack is damaged or a slice is empty.
    """
    return dict(predict_slices(predictor, open_stack(stack_file), batch_size))


def predict_slices(predictor: Predictor, stack: Stack, batch_size: int) -> Iterator[tuple[int, np.ndarray]]:
    """Like ``predict_stack``, slice by slice; never more than ``batch_size`` of them in memory.

    A point beyond the outermost pixel centres is moved onto them: that can only bring it nearer.
    """
    last = np.array([stack.width, stack.height]) - INDEX_TO_CONTINUOUS
    numbers, images = range(1, stack.num_slices + 1), read_images(stack)
    for number, (_, found) in zip(numbers, stream(predictor, images, batch_size), strict=True):
        yield number, np.clip(found.points, INDEX_TO_CONTINUOUS, last)


def _require_challenge_landmarks(predictor: Predictor) -> None:
    own = predictor.landmark_set
    if own.landmarks != LANDMARKS.landmarks:
        raise ValueError(
            f"{predictor.file}: finds the {len(own)} landmarks of {own.name!r}, expected the "
            f"{len(LANDMARKS)} of {LANDMARKS.name!r}. Give a checkpoint trained on CL-Detection 2023."
        )
