"""Run lengths as the hand task writes them: row by row, starts counted from 1.

COCO's run lengths go column by column and count from runs of 0: neither reads as the other.
"""

import numpy as np


def row_runs(mask: np.ndarray) -> str:
    """ "start length start length ..." of an (H, W) bool mask; empty text for an empty mask."""
    padded = np.concatenate([[False], mask.ravel(), [False]])
    changes = np.flatnonzero(padded[1:] != padded[:-1]) + 1
    starts, ends = changes[::2], changes[1::2]
    return " ".join(map(str, np.stack([starts, ends - starts], 1).ravel()))
