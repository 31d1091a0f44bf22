"""The quantities that every measurement is made of, each with its exact derivatives.

Frames: points in millimetres, x right, y down. N images. A ``Place`` is a linear combination of landmarks
and a ``Quantity`` a number an image with its derivatives to the landmarks, so whatever is built of them has
exact derivatives too (forward differentiation).

Signs hold for a face that looks either way, at any rotation: ``facing`` is +1 where it looks right, -1 where
it looks left.
"""

from dataclasses import dataclass

import numpy as np

_LEAST_SHARE = 1 / 45  # of the landmarks' rms distance from their middle: about 1 mm on a head
_LEAST_LENGTH = 1e-6  # of the same; a length has no derivative where its ends meet


@dataclass(frozen=True)
class Place:
    """A point of N images: ``xy`` (N, 2) in mm and ``weights`` (K,), its derivative to each landmark."""

    xy: np.ndarray
    weights: np.ndarray

    @classmethod
    def of_landmark(cls, points: np.ndarray, index: int) -> "Place":
        """Landmark ``index`` of ``points`` (N, K, 2)."""
        return cls(points[:, index], np.eye(points.shape[1])[index])

    def __sub__(self, other: "Place") -> "Place":
        return Place(self.xy - other.xy, self.weights - other.weights)

    def middle(self, other: "Place") -> "Place":
        return Place((self.xy + other.xy) / 2.0, (self.weights + other.weights) / 2.0)


@dataclass(frozen=True)
class Quantity:
    """A number of N images, NaN where it is undefined, and its derivatives to K landmarks, a mm each."""

    value: np.ndarray  # (N,)
    gradient: np.ndarray  # (N, K, 2)

    @classmethod
    def constant(cls, number: float, points: np.ndarray) -> "Quantity":
        return cls(np.full(len(points), float(number)), np.zeros(points.shape))

    def __add__(self, other: "Quantity") -> "Quantity":
        return Quantity(self.value + other.value, self.gradient + other.gradient)

    def __mul__(self, factor: float) -> "Quantity":
        return Quantity(self.value * factor, self.gradient * factor)

    def __truediv__(self, other: "Quantity") -> "Quantity":
        """The ratio; undefined where ``other`` is 0."""
        below = np.where(other.value == 0.0, np.nan, other.value)
        value = self.value / below
        gradient = self.gradient - value[:, None, None] * other.gradient
        return Quantity(value, gradient / below[:, None, None])

    def with_sign_of(self, other: "Quantity") -> "Quantity":
        """The magnitude of this one with the sign of ``other``, whose derivative is 0 but where it is 0."""
        sign = np.where(np.isnan(other.value), np.nan, np.sign(other.value) * np.sign(self.value))
        return Quantity(self.value * sign, self.gradient * sign[:, None, None])


@dataclass(frozen=True)
class Face:
    """What the quantities need to know of N faces as wholes."""

    facing: np.ndarray  # (N,) +1 looks right, -1 left, NaN unknown: what depends on it is then undefined
    size: np.ndarray  # (N,) mm, the landmarks' rms distance from their middle

    def defined(self, *directions: Place) -> np.ndarray:
        """(N,) 1 where every direction is long enough to have one, NaN elsewhere."""
        least = _LEAST_SHARE * self.size
        short = [~(np.linalg.norm(direction.xy, axis=-1) >= least) for direction in directions]
        return np.where(np.any(short, axis=0), np.nan, 1.0)


def angle(first: Place, second: Place, face: Face) -> Quantity:
    """Degrees between two vectors, 0 to 180, whatever the side."""
    sign = np.where(_cross(first.xy, second.xy) < 0.0, -1.0, 1.0)
    return _turned(first, second, sign * face.defined(first, second))


def turn(first: Place, second: Place, face: Face) -> Quantity:
    """Degrees from one vector to another, -180 to 180; positive clockwise on a face that looks right, that
    is with the front end of the second further down.
    """
    return _turned(first, second, face.facing * face.defined(first, second))


def offset(from_start: Place, line: Place, face: Face) -> Quantity:
    """Signed distance of a point from a line, in mm; positive in front of a line whose start is above.

    ``from_start``: the vector from the line's start to the point.
    """
    return _beside(line, from_start, -face.facing * face.defined(line))


def across(vector: Place, direction: Place, face: Face) -> Quantity:
    """The part of a vector square to a direction that points to the front, in mm; positive upwards."""
    return _beside(direction, vector, -face.facing * face.defined(direction))


def along(vector: Place, direction: Place, face: Face) -> Quantity:
    """The part of a vector along a direction, in mm."""
    sign, length = face.defined(direction), _length(direction.xy)
    unit = direction.xy / length[:, None]
    value = _dot(vector.xy, unit)
    by_direction = (vector.xy - value[:, None] * unit) / length[:, None]
    return _quantity(value, sign, (vector, unit), (direction, by_direction))


def length(vector: Place, face: Face) -> Quantity:
    """A vector along itself, in mm; undefined where its ends meet, as its derivative is there."""
    value = _length(vector.xy)
    sign = np.where(value > _LEAST_LENGTH * face.size, 1.0, np.nan)
    return _quantity(value, sign, (vector, vector.xy / value[:, None]))


def _turned(first: Place, second: Place, sign: np.ndarray) -> Quantity:
    """``sign`` times the angle from the first to the second vector, degrees, positive from x towards y."""
    radians = np.arctan2(_cross(first.xy, second.xy), _dot(first.xy, second.xy))
    by_first = -_square(first.xy) / _dot(first.xy, first.xy)[:, None]
    by_second = _square(second.xy) / _dot(second.xy, second.xy)[:, None]
    found = _quantity(radians, sign, (first, by_first), (second, by_second))
    return found * (180.0 / np.pi)


def _beside(line: Place, vector: Place, sign: np.ndarray) -> Quantity:
    """``sign`` times the cross product of the line's unit vector and ``vector``."""
    length = _length(line.xy)
    unit = line.xy / length[:, None]
    value = _cross(unit, vector.xy)
    by_vector = _square(unit)
    by_line = (-_square(vector.xy) - value[:, None] * unit) / length[:, None]
    return _quantity(value, sign, (vector, by_vector), (line, by_line))


def _quantity(value: np.ndarray, sign: np.ndarray, *parts: tuple[Place, np.ndarray]) -> Quantity:
    """``sign`` times ``value`` with the chain rule over ``parts``: a vector and the derivative to it (N, 2).

    A landmark without weight has derivative 0 even where the quantity is undefined.
    """
    slopes = [
        place.weights[:, None]
        * np.where(place.weights[:, None] == 0.0, 0.0, (sign[:, None] * slope)[:, None])
        for place, slope in parts
    ]
    return Quantity(sign * value, np.sum(slopes, axis=0))


def _cross(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0] + 0.0  # no -0: arctan2 tells it from 0


def _dot(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return (first * second).sum(-1)


def _length(vector: np.ndarray) -> np.ndarray:
    """(N,) lengths, NaN instead of 0, so that nothing divides by it."""
    found = np.linalg.norm(vector, axis=-1)
    return np.where(found == 0.0, np.nan, found)


def _square(vector: np.ndarray) -> np.ndarray:
    """(N, 2) the vector turned by a right angle from x towards y: d cross(a, b) / d b for a."""
    return np.stack([-vector[:, 1], vector[:, 0]], axis=-1)
