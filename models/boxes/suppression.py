"""Non-maximum suppression that says of every box whether it stays: a result of one size, whatever stays.

torchvision's operator returns the places of what stays, as many as there are. That cannot be traced or
exported with a fixed size, so here it is an operator of its own (``util.export.operators`` translates it).
"""

import torch
from torch import Tensor
from torchvision.ops import nms


@torch.library.custom_op("cephdetr::stays", mutates_args=())
def stays(boxes: Tensor, overlap: float) -> Tensor:
    """(B, N, 4) boxes, the best first -> (B, N) bool: False where a better one that stays overlaps by more.

    ``overlap`` is an intersection over union.
    """
    kept = torch.zeros(boxes.shape[:2], dtype=torch.bool, device=boxes.device)
    rank = -torch.arange(boxes.shape[1], device=boxes.device, dtype=boxes.dtype)
    for image, own in zip(kept, boxes, strict=True):
        image[nms(own, rank, overlap)] = True
    return kept


@stays.register_fake
def _(boxes: Tensor, overlap: float) -> Tensor:
    return boxes.new_empty(boxes.shape[:2], dtype=torch.bool)
