"""The same X-ray under two names: where one of them trains and the other tests, the test is not blind.

ISBI 2015 has 23 such pairs, 20 of them between TrainingData and Test1Data, each marked anew by the same
doctors (docs/ledger.md). Another film of the same patient is not found: it is another picture.
"""

import hashlib
from collections.abc import Mapping

import cv2
import numpy as np

_SIDE = 96  # pixels of the square that an image is shrunk to
_BLUR = 4.0  # pixels of it; what is wider is exposure, not anatomy
_MARGIN = 10  # pixels of it, where films of one clinic all bear the same marks
_FLAT = 4.0  # grey values squared, below which there is nothing to see
SAME = 0.9  # correlation: the pairs of ISBI 2015 are at 0.96 and more, any other two films below 0.70


def fingerprint(image: np.ndarray) -> np.ndarray:
    """(M,) float32 of length 1: edges of a small copy, freed of exposure and contrast; zeros of a flat image.

    image: (H, W) uint8. Two copies of one X-ray correlate near 1 whatever their size and window.
    """
    small = cv2.resize(image, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA).astype(np.float32)
    detail = small - cv2.GaussianBlur(small, (0, 0), _BLUR)
    detail /= np.sqrt(cv2.GaussianBlur(detail**2, (0, 0), 2 * _BLUR) + _FLAT)
    middle = detail[_MARGIN:-_MARGIN, _MARGIN:-_MARGIN].ravel()
    middle = middle - middle.mean()
    return middle / max(float(np.linalg.norm(middle)), 1e-6)


def film_digest(image: np.ndarray) -> str:
    """16 hexadecimal digits by which a film is told again without its name; image: (H, W) uint8."""
    return hashlib.sha256(repr(image.shape).encode() + image.tobytes()).hexdigest()[:16]


def find_repeats(fingerprints: Mapping[str, np.ndarray]) -> list[tuple[str, str]]:
    """Pairs of names whose images are the same X-ray, in the order given."""
    names = list(fingerprints)
    stacked = np.stack([fingerprints[name] for name in names])  # (N, M)
    return [
        (names[row], names[row + 1 + int(offset)])
        for row in range(len(names) - 1)
        for offset in np.flatnonzero(stacked[row + 1 :] @ stacked[row] > SAME)
    ]
