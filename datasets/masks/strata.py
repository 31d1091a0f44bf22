"""Groups of persons, such as women under thirty, of which every part of a data set gets its share."""

from collections.abc import Mapping, Sequence

import numpy as np

_BANDS = 4  # that a column of numbers is cut into


def strata_of_columns(
    columns: Sequence[str], values: Mapping[str, Sequence[str]], persons: Sequence[str]
) -> dict[str, str]:
    """The group of each of ``persons``: their values in all columns together.

    values: by person, a text a column; a person without a row counts as of no value. A column of numbers,
    such as an age, is cut into four bands of about as many persons. Raises ValueError where there are more
    than half as many groups as persons: then none could be shared out.
    """
    nothing = [""] * len(columns)
    table = [values.get(person, nothing) for person in persons]
    banded = [_banded(column) for column in zip(*table, strict=True)]
    groups = map(", ".join, zip(*banded, strict=True))
    strata = dict(zip(persons, groups, strict=True))
    count = len(set(strata.values()))
    if 2 * count > len(strata):
        raise ValueError(
            f"--stratify {' '.join(columns)}: {len(strata)} persons in {count} groups, expected two persons "
            "or more in each on average. Name fewer columns, or such of fewer values."
        )
    return strata


def _banded(column: Sequence[str]) -> list[str]:
    """The values, or of numbers the band that each is in; an empty text stays."""
    try:
        numbers = {text: float(text) for text in column if text}
    except ValueError:
        return list(column)
    if len(set(numbers.values())) <= _BANDS or not np.isfinite(list(numbers.values())).all():
        return list(column)
    known = [numbers[text] for text in column if text]
    edges = np.quantile(known, [step / _BANDS for step in range(1, _BANDS)])
    return [str(int(np.searchsorted(edges, numbers[text], "right"))) if text else "" for text in column]
