"""Classes of a measurement: intervals between limits, by name."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from measurements.norm import is_number


@dataclass(frozen=True)
class Classes:
    """L limits in rising order and the L + 1 classes between them.

    ``keeps_limits``: the class that a value on a limit belongs to, where it is one of the two beside it;
    otherwise the lower one.
    """

    limits: tuple[float, ...]
    names: tuple[str, ...]
    codes: tuple[int, ...]  # as files have them
    keeps_limits: str
    source: str

    def index(self, values: np.ndarray) -> np.ndarray:
        """The class of each value, as its index; -1 where the value is NaN."""
        limits = np.array(self.limits)
        kept = self.names.index(self.keeps_limits)
        above = (values[..., None] > limits).sum(-1)
        on_limit = (values[..., None] == limits).any(-1)
        found = np.where(on_limit & (above + 1 == kept), kept, above)
        return np.where(np.isnan(values), -1, found)

    def probabilities(
        self, values: np.ndarray, sd: np.ndarray, doubt: np.ndarray | float = 0.0
    ) -> np.ndarray:
        """(..., L + 1) chances of each class for a Gaussian about each value; NaN where either is.

        doubt: chance that a value has the other sign, which ``sd`` takes in (``uncertainty.sign_doubts``).
        """
        share = np.broadcast_to(np.asarray(doubt, dtype=float), values.shape)
        around = np.sqrt(np.square(sd) - sign_variance(values, share))
        as_is, mirrored = self._about(values, around), self._about(-values, around)
        return (1.0 - share[..., None]) * as_is + share[..., None] * mirrored

    def _about(self, values: np.ndarray, sd: np.ndarray) -> np.ndarray:
        below = normal((np.array(self.limits) - values[..., None]) / sd[..., None])
        edges = np.concatenate([np.zeros_like(below[..., :1]), below, np.ones_like(below[..., :1])], -1)
        found = np.diff(edges, axis=-1)
        return np.where(np.isnan(below).any(-1, keepdims=True), np.nan, found)

    @classmethod
    def from_dict(cls, data: Any, where: str) -> "Classes":
        """Raises ValueError, beginning with ``where``, unless it holds limits and a class on each side."""
        keys = set(cls.__dataclass_fields__)
        if not isinstance(data, dict) or data.keys() != keys:
            found = sorted(data) if isinstance(data, dict) else data
            raise ValueError(f"{where}: classes with {found}, expected {sorted(keys)}.")
        limits, names, codes = data["limits"], data["names"], data["codes"]
        rising = bool(limits) and all(map(is_number, limits)) and limits == sorted(set(limits))
        if not rising or {len(names), len(codes)} != {len(limits) + 1}:
            raise ValueError(
                f"{where}: limits {limits} with names {names} and codes {codes}, expected limits in rising "
                "order and one name and one code more than limits."
            )
        if data["keeps_limits"] not in names or len(set(names)) != len(names):
            raise ValueError(
                f"{where}: keeps_limits {data['keeps_limits']!r}, expected one of the distinct names {names}."
            )
        return cls(tuple(limits), tuple(names), tuple(codes), data["keeps_limits"], data["source"])


_erf = np.vectorize(math.erf, otypes=[float])


def sign_variance(values: np.ndarray, doubt: np.ndarray) -> np.ndarray:
    """What not knowing the sign of ``values`` adds to their variance; doubt: chance of the other sign."""
    return np.where(doubt > 0.0, 4.0 * np.square(values) * doubt * (1.0 - doubt), 0.0)


def normal(z: np.ndarray) -> np.ndarray:
    """The share of a Gaussian below ``z`` standard deviations."""
    return 0.5 * (1.0 + _erf(z / math.sqrt(2.0)))
