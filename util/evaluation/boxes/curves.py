"""What a threshold on the score does: precision and recall, sensitivity at false positives, calibration.

All at an overlap of 0.5, from the matches of ``util.evaluation.boxes.matches``.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from util.evaluation.boxes.matches import ClassMatches

FROC_RATES = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)  # false positives an image, as in LUNA16
_NUM_BINS = 10
_TALKED_OF = 0.05  # detectors give hundreds of boxes of a score near 0; those say nothing of calibration


@dataclass(frozen=True)
class Sweep:
    """The detections of some classes by falling score, ignored ones left out, at the overlap of 0.5."""

    scores: np.ndarray  # (D,)
    right: np.ndarray  # (D,) bool
    num_objects: int
    num_images: int

    @property
    def recall(self) -> np.ndarray:
        """(D,) share of the objects found when everything down to a detection counts."""
        return np.cumsum(self.right) / max(self.num_objects, 1)

    @property
    def precision(self) -> np.ndarray:
        """(D,) share of the detections that are right."""
        return np.cumsum(self.right) / np.arange(1, len(self.right) + 1)

    @property
    def wrong_an_image(self) -> np.ndarray:
        """(D,) false positives an image."""
        return np.cumsum(~self.right) / max(self.num_images, 1)

    @property
    def last_of_score(self) -> np.ndarray:
        """(D,) bool: a threshold can end here, as the next detection has a lower score."""
        return np.append(self.scores[1:] < self.scores[:-1], True) if len(self.scores) else np.zeros(0, bool)


def sweep(matches: Sequence[ClassMatches]) -> Sweep:
    """The detections of all ``matches`` together."""
    counted = [~item.neutral[0] for item in matches]
    scores = np.concatenate([item.scores[kept] for item, kept in zip(matches, counted, strict=True)])
    right = np.concatenate([item.found[0][kept] for item, kept in zip(matches, counted, strict=True)])
    order = np.argsort(-scores, kind="stable")
    total = int(sum(item.objects.sum() for item in matches))
    return Sweep(scores[order], right[order], total, len(matches[0].objects))


def best_threshold(swept: Sweep) -> dict[str, float]:
    """The score from which on counting gives the largest F1, with its precision and recall.

    Chosen on these images: use that of the validation images on others. No detection is right: 1.
    """
    f1 = 2 * np.cumsum(swept.right) / (np.arange(1, len(swept.right) + 1) + max(swept.num_objects, 1))
    f1 = np.where(swept.last_of_score, f1, 0.0)
    if not len(f1) or f1.max() == 0:
        return {"score": 1.0, "f1": 0.0, "precision": 0.0, "recall": 0.0}
    best = int(f1.argmax())
    return {
        "score": float(swept.scores[best]),
        "f1": float(f1[best]),
        "precision": float(swept.precision[best]),
        "recall": float(swept.recall[best]),
    }


def froc(swept: Sweep, rates: Sequence[float] = FROC_RATES) -> dict[str, float]:
    """Sensitivity at each number of false positives an image, and their mean (Bandos et al., 2009)."""
    usable = swept.last_of_score
    recall, wrong = swept.recall[usable], swept.wrong_an_image[usable]
    found = {}
    for rate in rates:
        allowed = wrong <= rate
        found[f"{rate:g}"] = float(recall[allowed].max()) if allowed.any() else 0.0
    return {**found, "mean": float(np.mean(list(found.values())))}


def calibration(swept: Sweep) -> dict[str, object]:
    """Scores against the share that is right, in ten bins of equal width, from a score of 0.05 on.

    ``error`` is the mean distance of the two, weighted by detections (Naeini et al., 2015; for detection
    Küppers et al., 2020).
    """
    counted = swept.scores >= _TALKED_OF
    scores, right = swept.scores[counted], swept.right[counted]
    number = np.minimum((scores * _NUM_BINS).astype(int), _NUM_BINS - 1)
    bins = []
    for index in np.unique(number):
        inside = number == index
        bins.append((int(inside.sum()), float(scores[inside].mean()), float(right[inside].mean())))
    error = sum(count * abs(score - share) for count, score, share in bins) / max(len(scores), 1)
    return {
        "error": float(error),
        "bins": [{"count": count, "score": score, "right": share} for count, score, share in bins],
    }
