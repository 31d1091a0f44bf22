"""How often two readers, or a reader and a model, give a measurement the same class.

The success classification rate of ISBI 2015 (Wang et al., 2016) is no accuracy: it is the mean over the
classes of the share that is found of each, the diagonal of the confusion matrix by its rows. The papers have
the manual classes in the rows. The organisers' script has the automatic ones there for two of its eight
measurements.
"""

from dataclasses import dataclass

import numpy as np

SCRIPT_BY_AUTOMATIC = ("FHI", "FHA ISBI")  # whose rows are the automatic classes in the organisers' script


@dataclass(frozen=True)
class Agreement:
    """Of classes (N,) with others of the same images, as indices; -1 is left out."""

    count: int
    accuracy: float  # share of equal ones
    by_manual: float  # mean over the manual classes of the share that was found of each (recall)
    by_automatic: float  # mean over the automatic classes of the share that was right of each (precision)

    def script_rate(self, code: str) -> float:
        """The success classification rate as the organisers' script has it."""
        return self.by_automatic if code in SCRIPT_BY_AUTOMATIC else self.by_manual


def agreement(manual: np.ndarray, automatic: np.ndarray) -> Agreement:
    """NaN throughout where no image has both. A class that a row lacks altogether counts in no mean."""
    both = (manual >= 0) & (automatic >= 0)
    manual, automatic = manual[both], automatic[both]
    equal = manual == automatic
    if not len(equal):
        return Agreement(0, np.nan, np.nan, np.nan)
    return Agreement(
        count=len(equal),
        accuracy=float(equal.mean()),
        by_manual=float(np.mean([equal[manual == one].mean() for one in np.unique(manual)])),
        by_automatic=float(np.mean([equal[automatic == one].mean() for one in np.unique(automatic)])),
    )
