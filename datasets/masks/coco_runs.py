"""COCO's compressed run lengths, looked at before pycocotools decodes them.

Where they end before the mask does, pycocotools fills the rest with whatever the memory held.
"""

import numpy as np

_MOST_DIGITS = 6  # of one run: 30 bits, more than the pixels of any image


def require_filled(code: bytes, size: tuple[int, int], where: str) -> None:
    """Raise ValueError unless ``code`` is of exactly the pixels of a mask of (width, height)."""
    try:
        lengths = run_lengths(code)
    except ValueError as error:
        raise ValueError(f"{where}: {error}. Export it anew.") from error
    if (lengths < 0).any() or lengths.sum() != size[0] * size[1]:
        raise ValueError(
            f"{where}: run lengths of {lengths.sum()} pixels, expected {size[0] * size[1]}. Export it anew."
        )


def run_lengths(code: bytes) -> np.ndarray:
    """(N,) int64: of zeros, ones, zeros, ... column by column.

    A run is written in digits of five bits, the lowest first; from the fourth run on less the one before the
    last. Raises ValueError for what is no such text.
    """
    digits = np.frombuffer(code, np.uint8).astype(np.int64) - ord("0")
    if not len(digits) or digits.min() < 0 or digits.max() > 63 or digits[-1] & 32:
        raise ValueError(f"counts {code[:40]!r}, expected COCO's compressed run lengths")
    last = np.flatnonzero(digits & 32 == 0)  # of each run
    first = np.concatenate([[0], last[:-1] + 1])
    count = last - first + 1
    if count.max() > _MOST_DIGITS:
        raise ValueError(f"counts {code[:40]!r}, a run of {count.max()} digits")
    place = np.arange(len(digits)) - np.repeat(first, count)
    lengths = np.add.reduceat((digits & 31) << 5 * place, first)
    lengths -= np.where(digits[last] & 16, 1 << 5 * count, 0)  # the highest bit is a sign
    for start in (1, 2):
        lengths[start::2] = lengths[start::2].cumsum()
    return lengths
