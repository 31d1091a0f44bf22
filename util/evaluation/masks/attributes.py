"""What a model tells of whole images, such as sex and side, beside what is known of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from util.evaluation.masks.bootstrap import class_means, intervals


@dataclass(frozen=True)
class AttributeResults:
    """One attribute of N images. An image of which it is not known counts nowhere."""

    name: str
    values: tuple[str, ...]  # those that the model tells apart
    true: tuple[str | None, ...]  # (N,) as the data have it, None where unknown; may be none of ``values``
    probabilities: np.ndarray  # (N, V) of ``values``
    persons: tuple[str, ...]  # (N,) whose image it is

    @property
    def found(self) -> tuple[str, ...]:
        """(N,) the most probable value of each image."""
        return tuple(self.values[index] for index in self.probabilities.argmax(1))

    @property
    def num_known(self) -> int:
        return sum(value is not None for value in self.true)

    def right(self, value: str | None = None) -> np.ndarray:
        """(N, 1) 1 where the value found is the true one, 0 where not, NaN where unknown.

        ``value``: the images alone of which this is true; the others are NaN.
        """
        counts = [true is not None and value in (None, true) for true in self.true]
        hits = [true == found for true, found in zip(self.true, self.found, strict=True)]
        return np.where(counts, hits, np.nan)[:, None].astype(np.float64)

    def accuracy(self, value: str | None = None) -> tuple[float, float, float]:
        """The share of images that are right, and its 95 % interval; NaN without an image.

        ``value``: of the images alone of which this is true, their recall.
        """
        right = self.right(value)
        low, high = intervals(right, self.persons)[0]
        return float(class_means(right)[0]), float(low), float(high)

    def confusion(self) -> dict[str, dict[str, int]]:
        """How many images of each true value were taken for each of ``values``."""
        others = sorted({true for true in self.true if true is not None} - set(self.values))
        pairs = list(zip(self.true, self.found, strict=True))
        return {
            true: {found: pairs.count((true, found)) for found in self.values}
            for true in (*self.values, *others)
        }


def attribute_results(
    attributes: Mapping[str, Sequence[str]],
    stated: Sequence[Mapping[str, str]],
    told: Sequence[Sequence[np.ndarray]],
    persons: Sequence[str],
) -> tuple[AttributeResults, ...]:
    """Of every attribute that the model tells; none for a model without heads.

    attributes: those of the model's training data, by name; stated: N times what the data say of an image,
    by name, unknown ones left out; told: N times (V,) probabilities an attribute; persons: (N,).
    """
    columns = list(zip(*told, strict=True))
    if not columns:
        return ()
    return tuple(
        AttributeResults(
            name=name,
            values=tuple(values),
            true=tuple(image.get(name) for image in stated),
            probabilities=np.stack(column),
            persons=tuple(persons),
        )
        for (name, values), column in zip(attributes.items(), columns, strict=True)
    )


def attribute_summary(results: AttributeResults) -> dict[str, Any]:
    """JSON-ready; ``true``, ``found`` and ``probability`` (of what was found) are in the images' order."""
    accuracy, *interval = results.accuracy()
    known = results.num_known > 0
    return {
        "accuracy": accuracy if known else None,
        "ci95": interval if known else None,
        "num_known": results.num_known,
        "confusion": results.confusion(),
        "true": list(results.true),
        "found": list(results.found),
        "probability": results.probabilities.max(1).tolist(),
    }


def attribute_table(results: AttributeResults) -> list[list[str]]:
    """A header; all images of which the attribute is known; those of each true value, and what was found."""
    confusion = results.confusion()
    everything = {found: sum(row[found] for row in confusion.values()) for found in results.values}
    rows = [
        _row(title, counts, results.accuracy(value))
        for title, value, counts in (
            ("all", None, everything),
            *((true, true, counts) for true, counts in confusion.items()),
        )
    ]
    return [[results.name, "n", "accuracy", "95 %", *(f"found {value}" for value in results.values)], *rows]


def _row(title: str, counts: Mapping[str, int], accuracy: tuple[float, float, float]) -> list[str]:
    share, low, high = (f"{value:.3f}" if np.isfinite(value) else "-" for value in accuracy)
    return [title, str(sum(counts.values())), share, f"{low} to {high}", *map(str, counts.values())]
