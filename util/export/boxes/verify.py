"""Does an exported detector find what the PyTorch model finds?"""

from collections.abc import Sequence
from copy import deepcopy

import numpy as np
import torch
from torch import Tensor

from util.export.boxes.graph import DetectionGraph
from util.export.boxes.onnx_boxes import Arrays, BoxGraph

LIMIT = 1e-4  # of a score, and of a coordinate in parts of the canvas
_BATCH_SIZES = (1, 3)


def verify(graph: BoxGraph, model: DetectionGraph, images: Sequence[Tensor]) -> tuple[float, int]:
    """Largest difference from ``model`` on lone images of ``images`` (n, C, H, W), in batches of two sizes.

    And how many images were left out of it: those on which PyTorch finds something else in float64 too, as
    where two boxes compete whose scores are equal to rounding. Raises ValueError above ``LIMIT``, and where
    no image is left.
    """
    largest, unsteady, count = 0.0, 0, 0
    for own in images:
        with torch.inference_mode():
            alone = [_arrays(model(image[None])) for image in own]
        batches = [_in_batches(graph, own.numpy(), size) for size in _BATCH_SIZES]
        for n, expected in enumerate(alone):
            one = slice(n, n + 1)
            found = [(boxes[one], scores[one], labels[one]) for boxes, scores, labels in batches]
            differences = [difference(its, expected, graph.facts.size) for its in found]
            far = float(np.max(differences))  # NaN if any is
            if not far <= LIMIT and _is_unsteady(model, own[n], expected, graph.facts.size):
                unsteady += 1
            else:
                largest = float(np.max([largest, far]))
            count += 1
    if not largest <= LIMIT:
        raise ValueError(
            f"{graph.file}: ONNX Runtime and PyTorch differ by {largest:.2g} of a score or of the canvas, "
            f"expected at most {LIMIT:g}. Nothing is written. Try another --opset, or another onnxruntime."
        )
    if unsteady == count:
        raise ValueError(
            f"{graph.file}: on all {count} images rounding alone changes what the model finds, so the file "
            "cannot be verified. Nothing is written. Train longer, or give images by --data."
        )
    return largest, unsteady


def difference(found: Arrays, expected: Arrays, size: tuple[int, int]) -> float:
    """Largest difference of scores, and of detections from the nearest of their class, for a whole batch.

    Detections may change places where their scores do not differ. Those whose score is as low as the last
    one's may be others, and are compared by their scores alone. Sides are in parts of ``size`` (height,
    width).
    """
    largest = float(np.abs(found[1] - expected[1]).max(initial=0.0))
    canvas = np.array([size[1], size[0]] * 2, np.float64)
    for one, other in zip(zip(*found, strict=True), zip(*expected, strict=True), strict=True):
        counted = other[1] > other[1].min() + LIMIT
        if counted.any():
            farthest = _farthest(one, [array[counted] for array in other], canvas)
            largest = float(np.maximum(largest, farthest))  # NaN if either is
    return largest


def _farthest(found: Sequence[np.ndarray], expected: Sequence[np.ndarray], canvas: np.ndarray) -> float:
    """How far the worst of the expected detections is from the nearest that was found."""
    sides = np.abs(found[0][None] - expected[0][:, None]) / canvas  # (E, D, 4)
    far = np.maximum(sides.max(-1), np.abs(found[1][None] - expected[1][:, None]))
    return float(np.where(found[2][None] == expected[2][:, None], far, np.inf).min(1).max())


def _in_batches(graph: BoxGraph, images: np.ndarray, size: int) -> Arrays:
    found = [graph(images[start : start + size]) for start in range(0, len(images), size)]
    boxes, scores, labels = (np.concatenate(arrays) for arrays in zip(*found, strict=True))
    return boxes, scores, labels


def _is_unsteady(model: DetectionGraph, image: Tensor, expected: Arrays, size: tuple[int, int]) -> bool:
    """Whether PyTorch in float64 differs from its ``expected`` answer as well."""
    exact = deepcopy(model).double()
    with torch.inference_mode():
        return difference(_arrays(exact(image[None].double())), expected, size) > LIMIT


def _arrays(found: tuple[Tensor, Tensor, Tensor]) -> Arrays:
    boxes, scores, labels = (tensor.numpy() for tensor in found)
    return boxes, scores, labels
