"""Does an exported detector find what the PyTorch model finds?"""

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from torch import Tensor

from util.export.boxes.graph import DetectionGraph
from util.export.boxes.onnx_boxes import Arrays, BoxGraph

LIMIT = 1e-4  # of a score, and of a coordinate in parts of the canvas
_BATCH_SIZES = (1, 3)


def verify(graph: BoxGraph, model: DetectionGraph, images: Sequence[Tensor]) -> float:
    """Largest difference from ``model`` on lone images of ``images`` (n, C, H, W), in batches of two sizes.

    Raises ValueError above ``LIMIT``.
    """
    largest = float(np.max(list(_differences(graph, model, images))))  # NaN if any is
    if not largest <= LIMIT:
        raise ValueError(
            f"{graph.file}: ONNX Runtime and PyTorch differ by {largest:.2g} of a score or of the canvas, "
            f"expected at most {LIMIT:g}. Nothing is written. Try another --opset, or another onnxruntime."
        )
    return largest


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
            largest = max(largest, _farthest(one, [array[counted] for array in other], canvas))
    return largest


def _farthest(found: Sequence[np.ndarray], expected: Sequence[np.ndarray], canvas: np.ndarray) -> float:
    """How far the worst of the expected detections is from the nearest that was found."""
    sides = np.abs(found[0][None] - expected[0][:, None]) / canvas  # (E, D, 4)
    far = np.maximum(sides.max(-1), np.abs(found[1][None] - expected[1][:, None]))
    return float(np.where(found[2][None] == expected[2][:, None], far, np.inf).min(1).max())


def _differences(graph: BoxGraph, model: DetectionGraph, images: Sequence[Tensor]) -> Iterable[float]:
    for own in images:
        with torch.inference_mode():
            alone = [[tensor.numpy() for tensor in model(image[None])] for image in own]
        boxes, scores, labels = (np.concatenate(arrays) for arrays in zip(*alone, strict=True))
        for size in _BATCH_SIZES:
            for start in range(0, len(own), size):
                part = slice(start, start + size)
                found = graph(own[part].numpy())
                yield difference(found, (boxes[part], scores[part], labels[part]), graph.facts.size)
