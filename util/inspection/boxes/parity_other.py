"""The cases that are not a whole detector: the refinement of the ROI fork, and the preprocessing."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from models.boxes.images import on_canvas
from models.boxes.published_refinement import PublishedRefinement
from models.boxes.pyramid import Pyramid, nearest_cells, put, take
from models.normalisation import PerChannel
from transforms.published_size import PublishedSize, resized
from util.inspection.boxes.parity_case import Case, Stated
from util.inspection.boxes.parity_models import set_weights
from util.inspection.boxes.parity_numbers import Numbers, padded
from util.inspection.boxes.parity_rule import signed

_STRIDES = (8, 16, 32, 64)


def refinement_numbers(case: Case, dtype: torch.dtype) -> Numbers:
    """The ROI head by itself."""
    meta = case.meta
    height, width = (round(side * meta["spatial_scale"]) for side in meta["input_hw"])
    given = {name: torch.from_numpy(case.arrays[name]).to(dtype) for name in ("hs", "boxes", "logits")}
    queries, boxes, logits = given.values()
    shape = (len(queries), queries.shape[-1], height, width)
    features = torch.from_numpy(signed("feat", shape, meta["seed"])).to(dtype)
    head = PublishedRefinement(
        queries.shape[-1], num_boxes=meta["topk"], stride=round(1 / meta["spatial_scale"])
    )
    set_weights(head, meta["seed"], prefix="roi_refine_head.")
    head.to(dtype).eval()
    with torch.no_grad():
        chosen = head.chosen(logits)
        deltas = head.deltas(features, take(queries, chosen), take(boxes, chosen))
        found = head.refined(features, queries, logits, boxes)
    return given | {
        "feat": features,
        "topk": chosen,
        "deltas": deltas.flatten(0, 1),
        "refined": put(boxes, found.chosen, found.boxes),
    }


def preprocessing_numbers(case: Case) -> Numbers:
    """Resize and normalisation of each image, and a padded batch with its masks."""
    numbers: Numbers = {}
    for number in _numbered(case):
        limits = case.arrays[f"{number}/min_max"].tolist()
        small = _resized(case, number, limits)
        numbers |= {
            f"{number}/image": torch.from_numpy(case.arrays[f"{number}/image"]),
            f"{number}/min_max": torch.tensor(limits),
            f"{number}/resized": small,
            f"{number}/normalised": PerChannel()(small[None].float() / 255.0)[0],
        }
    return numbers | (_batch(case) if "batch/sizes" in case.arrays else {})


def _batch(case: Case) -> Numbers:
    """Images of the case, all resized by the first one's limits to the sizes of the batch."""
    limits = case.arrays["0/min_max"].tolist()
    small = [_resized(case, number, limits) for number in _numbered(case)]
    wanted = [tuple(size) for size in case.arrays["batch/sizes"].tolist()]
    by_size = Stated(case.file, {str(tuple(image.shape[1:])): image for image in reversed(small)})
    chosen = [by_size[str(size)] for size in wanted]
    images, sizes = padded([image.float() / 255.0 for image in chosen])
    canvas = on_canvas(images, sizes, PerChannel())
    height, width = canvas.shape
    shapes = [(-(-height // stride), -(-width // stride)) for stride in _STRIDES]
    counts = nearest_cells(shapes, sizes, canvas.shape, torch.float32)
    pyramid = Pyramid(tuple(shapes), counts, canvas.whole)
    pixels = Pyramid((canvas.shape,), sizes[:, None].float(), canvas.whole)
    masks = {f"batch/mask/{level}": mask for level, mask in enumerate(pyramid.maps(pyramid.padded))}
    return masks | {
        "batch/tensors": canvas.images,
        "batch/sizes": sizes.flip(-1),
        "batch/mask": pixels.maps(pixels.padded)[0].to(torch.uint8),
    }


def _numbered(case: Case) -> list[str]:
    return sorted({name.split("/")[0] for name in case.names if name.split("/")[0].isdigit()}, key=int)


def _resized(case: Case, number: str, limits: Sequence[int]) -> Tensor:
    """(3, h, w) uint8."""
    pixels = np.moveaxis(case.arrays[f"{number}/image"], 0, -1)
    size = PublishedSize(*limits).size((pixels.shape[1], pixels.shape[0]))
    return torch.from_numpy(np.moveaxis(resized(pixels, size), -1, 0).copy())
