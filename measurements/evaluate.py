"""Values and derivatives of the measurements of an analysis on N images at once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from measurements import primitives
from measurements.analysis import Analysis
from measurements.primitives import Face, Place, Quantity
from measurements.recipe import Names, Recipe

_LEAST_SINE = 0.02  # of the angle at sella: on one line within a degree, a face has no side


@dataclass(frozen=True)
class Measured:
    """What an analysis comes to on N images, M measurements of K landmarks."""

    analysis: Analysis  # its measurements are those in the arrays, in their order
    values: np.ndarray  # (N, M) degrees, mm or ratios; NaN where undefined
    jacobian: np.ndarray  # (N, M, K, 2) change a mm of each landmark, x right and y down
    points_mm: np.ndarray  # (N, K, 2)
    signs: Mapping[int, Quantity]  # index of a measurement whose sign is another quantity's -> that quantity

    @cached_property
    def by_scale(self) -> np.ndarray:
        """(N, M) change of a value when all lengths grow by 100 %: the value of a length, 0 of an angle."""
        points = np.nan_to_num(self.points_mm)  # where the derivative is 0, or NaN itself
        return (self.jacobian * points[:, None]).sum((-1, -2))


def measure(analysis: Analysis, points_mm: np.ndarray, landmarks: Mapping[str, int]) -> Measured:
    """The measurements of ``analysis`` that ``landmarks`` allow.

    points_mm: (N, K, 2), x right, y down, NaN where missing; where the spacing is unknown, pixels will do for
    angles and ratios. landmarks: name -> index, under every name that a recipe may use for it. Raises
    ValueError when no measurement can be made of these landmarks.
    """
    known = analysis.of_landmarks(landmarks)
    evaluator = _Evaluator(known.names, points_mm, landmarks, _face(analysis, points_mm, landmarks))
    with np.errstate(invalid="ignore", divide="ignore"):  # undefined is NaN, which is asked for
        recipes = [_written_out(m.recipe, known.names) for m in known.measurements]
        found = [evaluator.quantity(recipe) for recipe in recipes]
        signs = {
            number: evaluator.quantity(recipe[2])
            for number, recipe in enumerate(recipes)
            if isinstance(recipe, list) and recipe[0] == "signed"
        }
    return Measured(
        analysis=known,
        values=np.stack([quantity.value for quantity in found], axis=1),
        jacobian=np.stack([quantity.gradient for quantity in found], axis=1),
        points_mm=points_mm,
        signs=signs,
    )


def facing(points: np.ndarray, triple: Sequence[int]) -> np.ndarray:
    """(N,) +1 where a face looks right, -1 left, NaN where it cannot be told.

    points: (N, K, 2); triple: indices of sella, nasion and menton, or what stands for them.
    """
    back, front, below = (points[:, index] for index in triple)
    one, other = front - back, below - back
    cross = one[:, 0] * other[:, 1] - one[:, 1] * other[:, 0]
    least = _LEAST_SINE * np.linalg.norm(one, axis=-1) * np.linalg.norm(other, axis=-1)
    return np.where(np.abs(cross) > least, np.sign(cross), np.nan)


def _written_out(recipe: Recipe, names: Names) -> Recipe:
    """The recipe that a code alone stands for."""
    while isinstance(recipe, str):
        recipe = names.recipes[recipe]
    return recipe


def _face(analysis: Analysis, points: np.ndarray, landmarks: Mapping[str, int]) -> Face:
    present = ~np.isnan(points).any(-1, keepdims=True)
    count = present.sum(1)
    middle = np.where(present, points, 0.0).sum(1) / np.maximum(count, 1)
    squares = np.where(present, points - middle[:, None], 0.0) ** 2
    size = np.sqrt(squares.sum((1, 2)) / np.maximum(count[:, 0], 1))
    if analysis.facing is None or not all(name in landmarks for name in analysis.facing):
        return Face(np.full(len(points), np.nan), size)
    return Face(facing(points, [landmarks[name] for name in analysis.facing]), size)


class _Evaluator:
    """Recipes on one set of points; what several recipes share is computed once."""

    def __init__(self, names: Names, points: np.ndarray, landmarks: Mapping[str, int], face: Face) -> None:
        self._names, self._points, self._landmarks, self._face = names, points, landmarks, face
        self._by_code: dict[str, Quantity] = {}

    def quantity(self, recipe: Recipe) -> Quantity:
        if isinstance(recipe, str):
            if recipe not in self._by_code:
                self._by_code[recipe] = self.quantity(self._names.recipes[recipe])
            return self._by_code[recipe]
        if not isinstance(recipe, list):
            return Quantity.constant(recipe, self._points)
        operation, *items = recipe
        if operation in ("angle", "turn", "along", "across"):
            first, second = (self._vector(line) for line in items)
            return getattr(primitives, operation)(first, second, self._face)
        if operation == "length":
            return primitives.length(self._vector(items[0]), self._face)
        if operation == "offset":
            start = self._names.ends(items[1])[0]
            return primitives.offset(
                self._place(items[0]) - self._place(start), self._vector(items[1]), self._face
            )
        if operation == "times":
            return self.quantity(items[1]) * items[0]
        return self._combined(operation, [self.quantity(item) for item in items])

    def _combined(self, operation: str, parts: Sequence[Quantity]) -> Quantity:
        first, *others = parts
        if operation == "ratio":
            return first / others[0]
        if operation == "signed":
            return first.with_sign_of(others[0])
        for other in others:
            first = first + other * (-1.0 if operation == "minus" else 1.0)
        return first

    def _vector(self, line: str) -> Place:
        start, end = self._names.ends(line)
        return self._place(end) - self._place(start)

    def _place(self, point: str) -> Place:
        if point in self._names.points:
            first, second = self._names.points[point]
            return self._place(first).middle(self._place(second))
        return Place.of_landmark(self._points, self._landmarks[point])
