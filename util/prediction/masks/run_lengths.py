"""Masks as run lengths in the convention of the hand task: row by row, starts counted from 1.

``7 2 20 1`` are the pixels 7, 8 and 20 of a mask read row by row, the first being 1. COCO's run lengths are
another thing: column by column, beginning with a run of zeros (``datasets.masks.shape``). So are those of
many contests: starts from 1, but column by column.
"""

from collections.abc import Sequence

import numpy as np

_MOST_DIGITS = 15  # more than the pixels of any image, and two such numbers add up without overflow


def encode_rows(mask: np.ndarray) -> str:
    """``start length`` pairs of (H, W) bool, ascending; empty for a mask without a pixel."""
    flat = np.concatenate([[0], mask.astype(np.uint8).ravel(), [0]])
    changes = np.flatnonzero(np.diff(flat)) + 1  # from 1: where runs begin, and where they have ended
    starts, ends = changes[::2], changes[1::2]
    return runs_to_text(starts, ends - starts)


def decode_rows(text: str, size: tuple[int, int], where: str = "run lengths") -> np.ndarray:
    """(H, W) bool of (width, height). Raises ValueError, beginning with ``where``, as ``parse_runs`` does."""
    starts, lengths = parse_runs(text, size[0] * size[1], where)
    mask = np.zeros(size[0] * size[1] + 1, np.int8)
    mask[starts - 1] = 1
    mask[starts + lengths - 1] -= 1
    return mask[:-1].cumsum().astype(bool).reshape(size[::-1])


def parse_runs(text: str, num_pixels: int | None, where: str) -> tuple[np.ndarray, np.ndarray]:
    """(N,) starts from 1 and (N,) lengths, ascending. num_pixels: of the mask, None where unknown.

    Raises ValueError for a start of 0, which another convention wrote, for an odd number of values, lengths
    below 1, runs that overlap or go backwards, and one that ends beyond the mask.
    """
    words = text.split()
    wrong = next((word for word in words if not _is_number(word)), None)
    if wrong is not None:
        raise ValueError(f"{where}: {wrong!r}, expected whole numbers from 1 on, separated by spaces.")
    if len(words) % 2:
        raise ValueError(f"{where}: {len(words)} numbers, expected pairs of a start and a length.")
    numbers = np.array(words, np.int64).reshape(-1, 2)
    starts, lengths = numbers[:, 0], numbers[:, 1]
    if (starts == 0).any():
        raise ValueError(
            f"{where}: a start of 0, but starts count from 1. The file was written with starts from 0, so "
            "every run would be read one pixel too early: add 1 to all its starts."
        )
    if (lengths == 0).any():
        raise ValueError(f"{where}: a run of length 0 at {starts[lengths == 0][0]}, expected 1 or more.")
    ends = starts + lengths
    if (starts[1:] < ends[:-1]).any():
        k = int(np.flatnonzero(starts[1:] < ends[:-1])[0])
        raise ValueError(
            f"{where}: run {k + 2} starts at {starts[k + 1]}, the one before ends at {ends[k] - 1}. Expected "
            "runs in ascending order that share no pixel."
        )
    if num_pixels is not None and len(ends) and ends[-1] - 1 > num_pixels:
        raise ValueError(
            f"{where}: the last run ends at pixel {ends[-1] - 1} of {num_pixels}. Is it of another size?"
        )
    return starts, lengths


def _is_number(word: str) -> bool:
    return word.isascii() and word.isdigit() and len(word) <= _MOST_DIGITS


def runs_to_text(starts: np.ndarray, lengths: np.ndarray) -> str:
    return " ".join(map(str, np.stack([starts, lengths], 1).ravel().tolist()))


def vote(
    rows: Sequence[tuple[np.ndarray, np.ndarray]], weights: Sequence[float], share: float
) -> tuple[np.ndarray, np.ndarray]:
    """Starts and lengths of the pixels that more than ``share`` of the weights' sum have.

    rows: starts and lengths of the same mask by several voters; one without runs votes against every pixel.
    A tie is no majority. No mask is ever unpacked: the runs' ends are walked along.
    """
    places = np.concatenate([end for starts, lengths in rows for end in (starts, starts + lengths)])
    steps = np.concatenate(
        [
            np.full(len(starts), sign * weight / sum(weights))
            for (starts, _), weight in zip(rows, weights, strict=True)
            for sign in (1.0, -1.0)
        ]
    )
    if not len(places):
        return np.empty(0, np.int64), np.empty(0, np.int64)
    positions, group = np.unique(places, return_inverse=True)
    levels = np.bincount(group, steps).cumsum()
    chosen = np.concatenate([[False], levels > share + 1e-9, [False]])
    changes = np.flatnonzero(np.diff(chosen.astype(np.int8)))
    starts, ends = positions[changes[::2]], positions[changes[1::2]]
    return starts, ends - starts
