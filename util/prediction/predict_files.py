"""From image files to records of what is found on them, whatever is wrong with some of the files."""

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from datasets.files.image_files import SourceImage, read_images
from datasets.files.search import find_images
from util.files import printable
from util.prediction.predictor import stream
from util.prediction.protocols import Predictor

logger = logging.getLogger(__name__)

_BATCHES_PER_CHUNK = 8  # what a kill may cost, against what it costs to have each chunk on the disk


@dataclass
class Found:
    """What some files gave; plain data."""

    images: list[dict] = field(default_factory=list)  # records, as the task writes them
    failed: list[dict] = field(default_factory=list)  # {"file", "error"}
    left_out: dict[str, int] = field(default_factory=dict)  # files in folders that are no images, by kind

    def note_failure(self, file: Path, error: Exception) -> None:
        logger.error("%s failed: %s", printable(file), printable(str(error)))
        self.failed.append({"file": printable(file), "error": printable(str(error))})


@dataclass(frozen=True)
class FilePredictor:
    """A predictor for files. Batches never cross a chunk, so a number depends on its chunk alone."""

    predictor: Predictor
    batch_size: int
    spacing: Sequence[float] | None = None  # mm per pixel, one number or x and y; None: what the files say
    as_read: Callable[[SourceImage], SourceImage] = lambda image: image  # ValueError: the file failed
    on_file: Callable[[], object] = lambda: None
    on_image: Callable[[SourceImage, Any], object] = lambda _image, _found: None

    @property
    def chunk_size(self) -> int:
        """Files that are predicted together."""
        return _BATCHES_PER_CHUNK * self.batch_size

    def __call__(self, files: Iterable[Path]) -> Found:
        """What is found on every image and slice of one chunk, one batch of images in memory at a time.

        Raises ValueError when a prediction is not finite.
        """
        result = Found()
        images = self._read(files, result)
        for image, found in stream(self.predictor, images, self.batch_size):
            result.images.append(self.predictor.answers.record(image, found))
            self.on_image(image, found)
        return result

    def _read(self, files: Iterable[Path], result: Found) -> Iterator[SourceImage]:
        for file in files:
            try:
                for image in read_images(file, self.spacing):
                    yield self.as_read(image)
            except (ValueError, OSError) as error:
                result.note_failure(file, error)
            self.on_file()


def list_files(paths: Sequence[Path], result: Found) -> list[Path]:
    """Every image file of ``paths``, once; ``result`` notes what was left out, and paths that have none."""
    files: dict[Path, None] = {}
    left_out: Counter[str] = Counter()
    for path in paths:
        try:
            search = find_images([path])
        except (ValueError, OSError) as error:
            result.note_failure(path, error)
        else:
            files |= dict.fromkeys(search.files)
            left_out += search.left_out
    result.left_out = dict(left_out.most_common())
    return list(files)
