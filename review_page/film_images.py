"""The pictures of films as the page is sent them: PNG, 8 bits of grey, without anything else of the file."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence

import cv2
import numpy as np

from datasets.files.image_files import SourceImage
from review_page.errors import RefusedError
from review_page.films import Film, FilmFacts
from util.files import printable

_KEPT = 3  # films in memory: the one that is open, the one before and the next
ModelView = Callable[[SourceImage], np.ndarray]  # (H, W) uint8 of the film's own size


class FilmImages:
    """Reads films when they are asked for, and keeps the last few. May be called from any thread."""

    def __init__(self, spacing: Sequence[float] | None = None) -> None:
        self._spacing = spacing
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, SourceImage] = OrderedDict()
        self._pngs: OrderedDict[str, bytes] = OrderedDict()
        self.model_view: ModelView | None = None

    def facts(self, film: Film) -> FilmFacts:
        """Raises RefusedError where the file cannot be read any more."""
        image = self.source(film)  # which may be kept of a file that is gone
        try:
            return FilmFacts.of(image)
        except OSError as error:
            raise RefusedError(404, f"{printable(film.file)}: {error.strerror}. Copy it again.") from error

    def source(self, film: Film) -> SourceImage:
        """The film as its reader gives it. Raises RefusedError where it cannot be read any more."""
        with self._lock:
            if film.key in self._kept:
                self._kept.move_to_end(film.key)
                return self._kept[film.key]
        try:
            image = film.read(self._spacing)
        except ValueError as error:
            raise RefusedError(404, str(error)) from error
        with self._lock:
            _keep(self._kept, film.key, image)
        return image

    def display(self, film: Film) -> bytes:
        """PNG at full resolution."""
        with self._lock:
            if film.key in self._pngs:
                return self._pngs[film.key]
        content = _png(self.source(film).image)
        with self._lock:
            _keep(self._pngs, film.key, content)
        return content

    def model(self, film: Film) -> bytes:
        """PNG of what the model saw, at its resolution, laid back onto the film."""
        if self.model_view is None:
            raise RefusedError(404, "No model is at hand to show what it saw. Start with --checkpoint.")
        return _png(self.model_view(self.source(film)))


def _keep(kept: OrderedDict, key: str, value: object) -> None:
    kept[key] = value
    while len(kept) > _KEPT:
        kept.popitem(last=False)


def _png(image: np.ndarray) -> bytes:
    """Quick rather than small: it travels inside one machine."""
    done, content = cv2.imencode(".png", image, [cv2.IMWRITE_PNG_COMPRESSION, 1])
    if not done:
        raise ValueError(f"an image of {image.shape} {image.dtype} could not be made a PNG.")
    return content.tobytes()
