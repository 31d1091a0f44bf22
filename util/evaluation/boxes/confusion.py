"""Which class is taken for which: detections matched to objects of whatever class."""

import numpy as np

from datasets.boxes.geometry import areas, pairwise_iou, pairwise_shared
from util.evaluation.boxes.box_results import BoxResults, ImageBoxes

_OVERLAP = 0.5


def confusion_matrix(results: BoxResults, num_classes: int, threshold: float) -> np.ndarray:
    """(K + 1, K + 1) int counts: row the true class, column the predicted one, last: nothing.

    A detection of at least ``threshold``, by falling score, takes the object not yet taken that it overlaps
    most, by 0.5 or more. What takes none, and lies by half of its own area or more inside an ignored object
    of whatever class, counts nowhere: COCO's rule for crowds.
    """
    matrix = np.zeros((num_classes + 1, num_classes + 1), np.int64)
    for image in results.images:
        for true, predicted in image_pairs(image, num_classes, threshold):
            matrix[true, predicted] += 1
    return matrix


def image_pairs(image: ImageBoxes, nothing: int, threshold: float) -> list[tuple[int, int]]:
    """True and predicted label of everything on an image; the label ``nothing`` stands for none."""
    kept = image.scores >= threshold
    boxes = image.boxes[kept].astype(np.float64)
    overlaps = pairwise_iou(boxes, image.true_boxes)  # (D, N)
    inside = pairwise_shared(boxes, image.true_boxes) >= _OVERLAP * areas(boxes)[:, None]
    excused = np.asarray((inside & image.ignored).any(-1))  # (D,)
    free = ~image.ignored
    pairs = []
    for row, label, is_excused in zip(overlaps, image.labels[kept], excused, strict=True):
        mine = np.where(free & (row >= _OVERLAP), row, 0.0)
        if mine.any():
            taken = int(mine.argmax())
            free[taken] = False
            pairs.append((int(image.true_labels[taken]), int(label)))
        elif not is_excused:
            pairs.append((nothing, int(label)))
    missed = image.true_labels[free & ~image.ignored]
    return pairs + [(int(label), nothing) for label in missed]
