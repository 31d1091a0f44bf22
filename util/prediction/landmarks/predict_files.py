"""From image files to records of their landmarks, whatever is wrong with some of the files."""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from datasets.files.image_files import SourceImage, find_images, read_images
from util.prediction.landmarks.image_landmarks import ImageLandmarks
from util.prediction.landmarks.landmark_files import image_record
from util.prediction.landmarks.predict import Predictor, stream

logger = logging.getLogger(__name__)

_BATCHES_PER_CHUNK = 8  # what a kill may cost, against what it costs to have each chunk on the disk


@dataclass
class Found:
    """What some files gave; plain data."""

    images: list[dict] = field(default_factory=list)  # records of ``landmark_files``
    failed: list[dict] = field(default_factory=list)  # {"file", "error"}

    def note_failure(self, file: Path, error: Exception) -> None:
        logger.error("%s failed: %s", file, error)
        self.failed.append({"file": str(file), "error": str(error)})


@dataclass(frozen=True)
class FilePredictor:
    """A predictor for files. Batches never cross a chunk, so a number depends on its chunk alone."""

    predictor: Predictor
    batch_size: int
    spacing: Sequence[float] | None = None  # mm per pixel, one number or x and y; None: what the files say
    on_file: Callable[[], object] = lambda: None
    on_image: Callable[[SourceImage, ImageLandmarks], object] = lambda _image, _found: None

    @property
    def chunk_size(self) -> int:
        """Files that are predicted together."""
        return _BATCHES_PER_CHUNK * self.batch_size

    def __call__(self, files: Iterable[Path]) -> Found:
        """The landmarks on every image and slice of one chunk, one batch of images in memory at a time.

        Raises ValueError when a prediction is not finite.
        """
        result = Found()
        images = self._read(files, result)
        for image, landmarks in stream(self.predictor, images, self.batch_size):
            result.images.append(image_record(image, landmarks, self.predictor.landmark_set))
            self.on_image(image, landmarks)
        return result

    def _read(self, files: Iterable[Path], result: Found) -> Iterator[SourceImage]:
        for file in files:
            try:
                yield from map(self._with_spacing, read_images(file))
            except (ValueError, OSError) as error:
                result.note_failure(file, error)
            self.on_file()

    def _with_spacing(self, image: SourceImage) -> SourceImage:
        return image if self.spacing is None else replace(image, spacing=np.resize(self.spacing, 2))


def list_files(paths: Sequence[Path], result: Found) -> list[Path]:
    """Every image file of ``paths``, once; a path that has none is noted in ``result``."""
    files: dict[Path, None] = {}
    for path in paths:
        try:
            files |= dict.fromkeys(find_images([path]))
        except (ValueError, OSError) as error:
            result.note_failure(path, error)
    return list(files)
