"""Which detection finds which object: pycocotools' matching, kept so that averages can be taken anew.

Average precision as COCO defines it (Lin et al., 2014; https://cocodataset.org/#detection-eval).
"""

import contextlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from util.evaluation.boxes.box_results import BoxResults, ImageBoxes

OVERLAPS = np.linspace(0.5, 0.95, 10)  # intersection over union that counts as found
RECALLS = np.linspace(0.0, 1.0, 101)  # where COCO reads the precision
MAX_DETECTIONS = 100  # of a class on an image, as COCO counts
_EPS = np.spacing(1)


@dataclass(frozen=True)
class ClassMatches:
    """The D detections of one class over all images by falling score, at T overlaps."""

    label: int
    scores: np.ndarray  # (D,)
    image: np.ndarray  # (D,) index of the image
    found: np.ndarray  # (T, D) bool: matched to an object of the class
    neutral: np.ndarray  # (T, D) bool: matched to an ignored one, so neither right nor wrong
    objects: np.ndarray  # (N,) objects of the class on each image, ignored ones not counted

    def average_precision(self, weights: np.ndarray | None = None) -> np.ndarray:
        """(T,) AP at each overlap, NaN without objects; ``weights`` (N,) counts each image so many times."""
        weights = np.ones(len(self.objects)) if weights is None else weights
        total = float(self.objects @ weights)
        if total == 0:
            return np.full(len(self.found), np.nan)
        recall, precision = self.curve(weights)
        result = np.zeros(len(self.found))
        for row, (reached, envelope) in enumerate(zip(recall, precision, strict=True)):
            index = np.searchsorted(reached, RECALLS, side="left")
            result[row] = np.append(envelope, 0.0)[index].mean()
        return result

    def curve(self, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(T, D) recall, and the best precision at that recall or beyond, as scores fall."""
        weight = weights[self.image] * ~self.neutral  # (T, D)
        right = np.cumsum(weight * self.found, 1)
        seen = np.cumsum(weight, 1)
        precision = right / (seen + _EPS)
        envelope = np.maximum.accumulate(precision[:, ::-1], 1)[:, ::-1]
        return right / float(self.objects @ weights), envelope


def coco_evaluation(results: BoxResults, num_classes: int) -> Any:
    """pycocotools' COCOeval of ``results``, accumulated; category k is class k."""
    truth, found = COCO(), COCO()
    images = [
        {"id": number, "width": image.size[0], "height": image.size[1]}
        for number, image in enumerate(results.images)
    ]
    categories = [{"id": label, "name": str(label)} for label in range(num_classes)]
    objects = [item for number, image in enumerate(results.images) for item in _objects(number, image)]
    detections = [item for number, image in enumerate(results.images) for item in _detections(number, image)]
    with contextlib.redirect_stdout(io.StringIO()):
        for coco, annotations in ((truth, objects), (found, detections)):
            numbered = [{"id": number, **item} for number, item in enumerate(annotations, start=1)]
            whole: Any = {"images": images, "annotations": numbered, "categories": categories}
            coco.dataset = whole
            coco.createIndex()
        evaluation = COCOeval(truth, found, "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
    return evaluation


def class_matches(evaluation: Any) -> list[ClassMatches]:
    """The matches of every class from a ``coco_evaluation``, objects of any size."""
    params = evaluation.params
    num_images, num_sizes = len(params.imgIds), len(params.areaRng)
    return [
        _of_class(label, evaluation.evalImgs[start : start + num_images], num_images)
        for label, start in (
            (label, position * num_sizes * num_images) for position, label in enumerate(params.catIds)
        )
    ]


def mean_precision(matches: Sequence[ClassMatches], weights: np.ndarray | None = None) -> np.ndarray:
    """(T,) AP at each overlap, the mean over the classes that have objects; NaN where none has."""
    each = np.stack([item.average_precision(weights) for item in matches])  # (K, T)
    present = ~np.isnan(each).all(1)
    return each[present].mean(0) if present.any() else np.full(each.shape[1], np.nan)


def _objects(number: int, image: ImageBoxes) -> list[dict[str, Any]]:
    return [
        {
            "image_id": number,
            "category_id": int(label),
            "bbox": _sides(box),
            "area": float(area),
            "iscrowd": int(flag),
        }
        for box, label, area, flag in zip(
            image.true_boxes, image.true_labels, image.areas, image.ignored, strict=True
        )
    ]


def _detections(number: int, image: ImageBoxes) -> list[dict[str, Any]]:
    items = []
    for box, label, score in zip(image.boxes, image.labels, image.scores, strict=True):
        sides = _sides(box)
        item = {"image_id": number, "category_id": int(label), "bbox": sides, "area": sides[2] * sides[3]}
        items.append({**item, "score": float(score), "iscrowd": 0})
    return items


def _sides(box: np.ndarray) -> list[float]:
    left, top, right, bottom = map(float, box)
    return [left, top, right - left, bottom - top]


def _of_class(label: int, images: Sequence[dict | None], num_images: int) -> ClassMatches:
    objects = np.zeros(num_images)
    scores, image, found, neutral = [np.zeros(0)], [np.zeros(0, int)], [], []
    empty = np.zeros((len(OVERLAPS), 0), bool)
    for number, item in enumerate(images):
        if item is None:
            continue
        objects[number] = np.count_nonzero(~np.asarray(item["gtIgnore"], bool))
        scores.append(np.asarray(item["dtScores"], np.float64))
        image.append(np.full(len(item["dtScores"]), number))
        neutral.append(np.asarray(item["dtIgnore"], bool).reshape(len(OVERLAPS), -1))
        found.append(np.asarray(item["dtMatches"]).reshape(len(OVERLAPS), -1) > 0)
    joined = np.concatenate(scores)
    order = np.argsort(-joined, kind="mergesort")  # stable, as pycocotools sorts
    return ClassMatches(
        label=label,
        scores=joined[order],
        image=np.concatenate(image)[order],
        found=np.concatenate([empty, *found], 1)[:, order],
        neutral=np.concatenate([empty, *neutral], 1)[:, order],
        objects=objects,
    )
