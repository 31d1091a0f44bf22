"""What the scripts ask of a model that finds something on images, whatever it finds."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from datasets.files.image_files import SourceImage


class Answers(Protocol):
    """How what a model finds is written down: as records, files and pictures."""

    def about(self) -> dict[str, Any]:
        """What the results say of the model beside its file: its landmarks, its classes."""
        ...

    def record(self, image: SourceImage, found: Any) -> dict[str, Any]:
        """One image as JSON: where it comes from and what was found."""
        ...

    def overlay(self, image: SourceImage, found: Any) -> np.ndarray:
        """(H, W, 3) uint8 RGB: the image with what was found drawn on it."""
        ...

    def write(
        self,
        file: Path,
        *,
        model: Mapping[str, Any],
        left_out: Mapping[str, int],
        images: Iterable[dict],
        failed: Sequence[dict],
    ) -> int:
        """Write records to ``file`` (.json) and what belongs beside it, atomically; the number of images.

        ``left_out``: files in folders that are no images, by kind.
        One record is in memory at a time. ``failed`` is read last, so it may grow while the images come.
        """
        ...


class Predictor(Protocol):
    """Anything that finds something on images."""

    @property
    def file(self) -> Path:
        """Of the model, or of the first of several."""
        ...

    @property
    def answers(self) -> Answers: ...

    def __call__(self, images: Sequence[SourceImage]) -> list[Any]:
        """What is found on each image, in order. Raises ValueError when a prediction is not finite."""
        ...


class Looks(Protocol):
    """Which looks are taken at every image, and by which models."""

    @property
    def checkpoints(self) -> tuple[Path, ...]: ...

    @property
    def plain(self) -> bool:
        """One model, one look at the whole image."""
        ...

    def predictor(self, members: Sequence[Any]) -> Predictor:
        """One predictor from those of the checkpoints, in their order."""
        ...

    def settings(self) -> dict[str, Any]:
        """All that a result depends on beside the checkpoints; JSON-ready."""
        ...

    def to_dict(self) -> dict[str, Any] | None:
        """JSON-ready, for people; None for one plain look."""
        ...
