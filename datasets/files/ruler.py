"""The pitch of a ruler on an X-ray, in pixels: found by its period, refused where it is not clear.

Cephalostats show a metal ruler on the nasal rest. Its teeth or lines repeat along a column or a row of the
image at equal distances, which nothing in a head does for long. So every line of the image is looked at for
edges at equal distances; neighbouring lines must agree, and no other period may compete. Letters burnt into
a film stand at equal distances too, but are not equally wide as teeth are.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import cv2
import numpy as np

from datasets.files.image_files import SourceImage
from transforms.geometry import pixel_shape
from util.files import printable

_WINDOWS = tuple(round(6 * 1.35**step) for step in range(9))  # pixels; a ruler's pitch is near one of them
_NEAR = 1.25  # a pitch of up to this times a window, or the window by this, is seen with it
_EVEN = 0.08  # neighbouring distances may differ by this share
_EDGES = 7  # at least so many in a row
_CONTRAST = 12.0  # grey levels between a tooth and its gap
_LINES = 4  # neighbouring lines of the image that must agree, and
_LONG = 0.6  # as many pixels as this share of the pitch: a tooth is no thinner
_AGREE = 0.03  # by this share
_SCATTER = 0.02  # of the edges about equal distances, as a share of the pitch
_ALIKE = 0.06  # of the widths of the teeth about their mean, as a share of the pitch
_CLEARER = 4.0  # a ruler has this many times the edges of any other period


@dataclass(frozen=True)
class Ruler:
    """Where a ruler was found."""

    pitch_px: float  # distance of its teeth
    vertical: bool  # it runs along columns of the image
    first: tuple[float, float]  # (x, y) of the first tooth's edge, continuous pixels
    last: tuple[float, float]
    edges: int  # of all lines that agree


@dataclass(frozen=True)
class _Chain:
    """Edges at equal distances on one line of the image."""

    line: int
    places: np.ndarray  # (E,) along the line, pixels

    @property
    def pitch(self) -> float:
        return float(np.polyfit(np.arange(len(self.places)), self.places, 1)[0])

    @property
    def scatter(self) -> float:
        """Root mean square distance of the edges from equal distances, as a share of the pitch."""
        steps = np.arange(len(self.places))
        fit = np.polyfit(steps, self.places, 1)
        return float(np.sqrt(np.mean(np.square(self.places - np.polyval(fit, steps)))) / fit[0])


def find_ruler(image: np.ndarray) -> Ruler:
    """The ruler on a grey (H, W) uint8 image. Raises ValueError where there is none, or not one alone."""
    found = [
        (vertical, group)
        for vertical in (True, False)
        for group in _groups(list(_chains(np.ascontiguousarray(image.T if vertical else image))))
    ]
    if not found:
        raise ValueError("no ruler was found: nothing repeats at equal distances. Give --spacing instead.")
    found.sort(key=lambda one: -_weight(one[1]))
    vertical, best = found[0]
    pitch = _pitch(best)
    for _, other in found[1:]:
        if abs(_pitch(other) / pitch - 1.0) > _AGREE and _CLEARER * _weight(other) > _weight(best):
            raise ValueError(
                f"the ruler is not clear: teeth every {pitch:.2f} pixels, and others every "
                f"{_pitch(other):.2f}. Give --spacing instead."
            )
    middle = float(np.mean([chain.line for chain in best])) + 0.5
    ends = [float(np.median([chain.places[end] for chain in best])) for end in (0, -1)]
    first, last = ((middle, end) if vertical else (end, middle) for end in ends)
    return Ruler(pitch, vertical, first, last, _weight(best))


def by_ruler(image: SourceImage, pitch_mm: float) -> SourceImage:
    """``image`` with the spacing that its ruler tells, whose teeth are ``pitch_mm`` apart where the head is.

    The ruler tells how long pixels are along itself; across it they are as long beside that as the file's own
    spacing has it, or else as long. Raises ValueError naming the file where no ruler is clear.
    """
    try:
        ruler = find_ruler(image.image)
    except ValueError as error:
        raise ValueError(f"{printable(image.file)}: {error}") from error
    shape = pixel_shape(image.spacing)
    spacing = shape * (pitch_mm / ruler.pitch_px / shape[int(ruler.vertical)])
    return replace(image, spacing=spacing, spacing_source=f"--ruler {pitch_mm:g}")


def _chains(lines: np.ndarray) -> Iterator[_Chain]:
    """All chains of (M, length) lines of an image."""
    grey = lines.astype(np.float32)
    for window in _WINDOWS:
        smooth = cv2.blur(grey, (max(1, window // 6), 1))
        waves = smooth - cv2.blur(smooth, (window, 1))
        yield from _even_edges(waves, window)


def _even_edges(waves: np.ndarray, window: int) -> Iterator[_Chain]:
    """Rising edges of ``waves`` (M, length), which swing about 0, at equal distances near ``window``."""
    line, place = np.nonzero((waves[:, :-1] < 0.0) & (waves[:, 1:] >= 0.0))
    before, after = waves[line, place], waves[line, place + 1]
    exact = place + 0.5 - before / (after - before)  # continuous pixels
    if len(line) < _EDGES:
        return
    high, widths = _swing(waves, line, place), _widths(waves, line, exact)
    gap = np.diff(exact)
    fits = (np.diff(line) == 0) & (gap > window / _NEAR) & (gap < window * _NEAR) & (high[:-1] > _CONTRAST)
    even = fits[1:] & fits[:-1] & (np.abs(gap[1:] - gap[:-1]) < _EVEN * gap[:-1])
    bounds = np.flatnonzero(np.diff(np.concatenate([[False], even, [False]]).astype(np.int8)))
    for start, stop in zip(bounds[::2], bounds[1::2], strict=True):
        chain = _Chain(int(line[start]), exact[start : stop + 2])
        alike = np.std(widths[start : stop + 1]) < _ALIKE * chain.pitch  # the last tooth may be cut
        if len(chain.places) >= _EDGES and chain.scatter < _SCATTER and alike:
            yield chain


def _swing(waves: np.ndarray, line: np.ndarray, place: np.ndarray) -> np.ndarray:
    """How far the waves swing from each edge to the next: highest less lowest; the last one's is 0."""
    flat = line * waves.shape[1] + place
    values = waves.ravel()
    return np.append(np.maximum.reduceat(values, flat) - np.minimum.reduceat(values, flat), 0.0)[: len(flat)]


def _widths(waves: np.ndarray, line: np.ndarray, exact: np.ndarray) -> np.ndarray:
    """How far the next falling edge is from each rising one at ``exact`` of its line; infinite for none."""
    row, place = np.nonzero((waves[:, :-1] >= 0.0) & (waves[:, 1:] < 0.0))
    before, after = waves[row, place], waves[row, place + 1]
    falling = row * waves.shape[1] + place + 0.5 + before / (before - after)  # line after line
    rising = line * waves.shape[1] + exact
    return np.append(falling, np.inf)[np.searchsorted(falling, rising)] - rising


def _groups(chains: list[_Chain]) -> list[list[_Chain]]:
    """Chains of neighbouring lines that run side by side with one pitch; those of too few lines left out."""
    groups: list[list[_Chain]] = []
    for chain in sorted(chains, key=lambda one: (one.line, one.places[0])):
        for group in groups:
            last = group[-1]
            beside = (
                chain.line - last.line <= 3
                and chain.places[0] < last.places[-1]
                and last.places[0] < chain.places[-1]
            )
            if beside and abs(chain.pitch / last.pitch - 1.0) < _AGREE:
                group.append(chain)
                break
        else:
            groups.append([chain])
    return [group for group in groups if _breadth(group) >= max(_LINES, _LONG * _pitch(group))]


def _breadth(group: list[_Chain]) -> int:
    """On how many lines of the image the group is seen."""
    return len({chain.line for chain in group})


def _pitch(group: list[_Chain]) -> float:
    return float(np.median([chain.pitch for chain in group]))


def _weight(group: list[_Chain]) -> int:
    return sum(len(chain.places) for chain in group)
