"""Predictions of the films by a model, film by film, kept as they come."""

import logging
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from datasets.files.image_files import SourceImage
from review_page.films import Film
from review_page.jobs import Progress
from review_page.predictions import OwnPredictions
from review_page.session import Session
from transforms.sample import Sample
from util.config import instantiate
from util.prediction.landmarks.image_landmarks import canvas_sample
from util.prediction.landmarks.plausibility import limits_of_file
from util.prediction.landmarks.posed import Posed
from util.prediction.landmarks.predict import Predictor
from util.prediction.predictor import load_predictor

logger = logging.getLogger(__name__)


class Predicting:
    """Lets a model find the landmarks of every film that has none yet."""

    def __init__(self, predictor: Any, store: OwnPredictions) -> None:
        self._predictor, self._store = predictor, store

    def __call__(self, session: Session, progress: Progress) -> None:
        """A film that cannot be predicted is left without, and said at the end."""
        films = [film for film in session.films if film.key not in session.predictions.records]
        progress.of = len(session.films)
        progress.done = progress.of - len(films)

        def keep(film: Film, record: dict[str, Any]) -> None:
            self._store.add(film, record)
            session.predict(film, record)
            progress.done += 1

        failed = predict_films(self._predictor, films, session, keep)
        progress.message = f"{len(failed)} films could not be predicted: {failed[0]}" if failed else ""


def ready_predictor(checkpoint: Path, device: str) -> Any:
    """A model of landmarks that puts turned pictures right, as inference.py has it.

    Raises ValueError for a file that is no checkpoint, and for one that finds something else.
    """
    predictor = load_predictor(checkpoint, device)
    if not isinstance(predictor, Predictor):
        raise ValueError(
            f"{checkpoint}: finds no landmarks, and this page shows nothing else. Give another --checkpoint."
        )
    limits = limits_of_file(checkpoint, len(predictor.landmark_set))
    return Posed(predictor, limits, search=True)


def predict_films(
    predictor: Any,
    films: Iterable[Film],
    session: Session,
    keep: Callable[[Film, dict[str, Any]], None],
) -> list[str]:
    """``keep`` gets each film with its record; the sentences of those that failed come back."""
    failed = []
    for film in films:
        try:
            image = film.read(session.settings.spacing)
            record = predictor.answers.record(image, predictor([image])[0])
        except ValueError as error:
            logger.error("%s", error)
            failed.append(str(error))
        else:
            keep(film, record)
    return failed


def model_view(checkpoint: Path) -> Callable[[SourceImage], np.ndarray]:
    """What a model of this checkpoint sees of an image, laid back onto the image's pixels."""
    transforms: list[Any] = []

    def view(image: SourceImage) -> np.ndarray:
        if not transforms:
            from util.checkpoints.checkpoint import load_model

            transforms.append(instantiate(load_model(checkpoint).config.eval_transforms))
        return laid_back(canvas_sample(image, transforms[0]), image)

    return view


def laid_back(sample: Sample, image: SourceImage) -> np.ndarray:
    """(H, W) uint8 at the image's size: each pixel as the canvas has it."""
    half = np.array([[1.0, 0.0, 0.5], [0.0, 1.0, 0.5], [0.0, 0.0, 1.0]])  # index -> continuous
    matrix = np.linalg.inv(half) @ sample.to_source @ half
    height, width = image.image.shape
    return cv2.warpAffine(sample.image, matrix[:2], (width, height), flags=cv2.INTER_NEAREST)
