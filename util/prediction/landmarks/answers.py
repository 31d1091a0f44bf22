"""How the landmarks that a model finds are written down."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from datasets.files.image_files import SourceImage
from datasets.landmarks.landmark_set import LandmarkSet
from util.prediction.landmarks.image_landmarks import ImageLandmarks
from util.prediction.landmarks.landmark_files import image_record, write_landmark_files
from util.reporting.visualise import overlay, write_line


@dataclass(frozen=True)
class LandmarkAnswers:
    """Records, files and pictures of landmarks (``util.prediction.protocols.Answers``)."""

    landmark_set: LandmarkSet
    labels: str
    landmark_shapes: Mapping[str, Any] | None = field(default=None, kw_only=True)  # of the labels' readers

    def about(self) -> dict[str, Any]:
        shapes = {} if self.landmark_shapes is None else {"landmark_shapes": dict(self.landmark_shapes)}
        names = self.landmark_set
        return {
            "landmark_set": names.name,
            "abbreviations": dict(zip(names.landmarks, names.abbreviations, strict=True)),
            "landmark_names": names.note,
            "labels": self.labels,
            **shapes,
        }

    def record(self, image: SourceImage, found: ImageLandmarks) -> dict[str, Any]:
        return image_record(image, found, self.landmark_set)

    def overlay(self, image: SourceImage, found: ImageLandmarks) -> np.ndarray:
        """Points green, each with its uncertainty as a circle; a line says why they are implausible."""
        drawn = overlay(image.image, found.points, radius=found.uncertainty_px)
        if found.plausible is False:
            write_line(drawn, f"implausible: {found.plausible_reason}")
        return drawn

    def write(
        self,
        file: Path,
        *,
        model: Mapping[str, Any],
        left_out: Mapping[str, int],
        images: Iterable[dict],
        failed: Sequence[dict],
    ) -> int:
        """FILE.json and FILE.csv; the number of images."""
        return write_landmark_files(
            file, model=dict(model), left_out=dict(left_out), images=images, failed=failed
        )
