"""Faster R-CNN by torchvision over the same backbones: what the detector is compared with."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torchvision.models.detection import FasterRCNN
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.rpn import AnchorGenerator
from torchvision.ops import FeaturePyramidNetwork
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool

from models.backbone import TimmBackbone
from models.boxes.detections import Detections
from models.boxes.geometry import corners
from models.boxes.images import on_canvas
from models.boxes.targets import BoxTargets
from models.loss_report import LossReport
from models.normalisation import Normalisation, PerChannel
from models.precision import full_precision


@dataclass(frozen=True)
class FasterRcnnOutputs:
    """``losses`` by name in training, where nothing is detected; detections otherwise."""

    final: Detections
    losses: dict[str, Tensor]


class FasterRcnn(nn.Module):
    """Region proposals, then a head an object (Ren et al., 2015), on a feature pyramid (Lin et al., 2017).

    torchvision's, but for its own resizing and normalisation: images are on the canvas that the transforms
    give. ``anchor_sizes``: pixels of the square anchors of strides 4, 8, 16, 32 and 64, in three shapes each.
    ``objects_sampled`` of an image teach the head. Detections below ``least_score`` are not given.
    """

    def __init__(
        self,
        *,
        num_classes: int,
        backbone: TimmBackbone,
        embed_dim: int = 256,
        anchor_sizes: Sequence[int] = (32, 64, 128, 256, 512),
        objects_sampled: int = 512,
        num_detections: int = 100,
        least_score: float = 0.01,
        normalise: Normalisation | None = None,
    ) -> None:
        super().__init__()
        self.num_classes, self.num_detections = num_classes, num_detections
        self.normalise = normalise or PerChannel()
        self.backbone = backbone
        self.neck = FeaturePyramidNetwork(list(backbone.channels), embed_dim, LastLevelMaxPool())
        parts = FasterRCNN(
            _Width(embed_dim),
            num_classes + 1,  # with the background
            rpn_anchor_generator=AnchorGenerator(
                tuple((size,) for size in anchor_sizes), ((0.5, 1.0, 2.0),) * len(anchor_sizes)
            ),
            box_batch_size_per_image=objects_sampled,
            box_detections_per_img=num_detections,
            box_score_thresh=least_score,
        )
        self.proposals, self.heads = parts.rpn, parts.roi_heads

    @property
    def output_tensors(self) -> tuple[str, ...]:
        """None by class: the head's rows begin with the background. For other classes: train.init_parts."""
        return ()

    def forward(
        self, images: Tensor, targets: BoxTargets | None = None, *, sizes: Tensor | None = None
    ) -> FasterRcnnOutputs:
        """(B, C, H, W) images in [0, 1] -> losses in training, boxes in canvas pixels otherwise.

        ``sizes`` (B, 2): width and height of the images in the upper left corners of the canvas.
        """
        if targets is not None:
            targets.require_known(self.num_classes)
            sizes = targets.sizes
        canvas = on_canvas(images, sizes, self.normalise)
        maps = self.neck(
            {str(level): features for level, features in enumerate(self.backbone(canvas.images))}
        )
        listed = ImageList(
            canvas.images, [(int(height), int(width)) for width, height in canvas.sizes.tolist()]
        )
        objects = _objects(targets) if self.training and targets is not None else None
        with full_precision(images):
            maps = {name: features.float() for name, features in maps.items()}
            proposals, losses = self.proposals(listed, maps, objects)
            found, more = self.heads(maps, proposals, listed.image_sizes, objects)
        return FasterRcnnOutputs(_stacked(found, len(images), self.num_detections, images), losses | more)


class FasterRcnnCriterion(nn.Module):
    """The sum of the four losses that the model gives in training, as torchvision weighs them."""

    def forward(self, outputs: FasterRcnnOutputs, targets: BoxTargets, progress: float) -> LossReport:
        """``targets`` and ``progress`` have had their part in the forward pass."""
        total = torch.stack(list(outputs.losses.values())).sum()
        return LossReport(total, {name: value.detach() for name, value in outputs.losses.items()})


class _Width(nn.Module):
    """Stands for the backbone that FasterRCNN asks for its number of channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.out_channels = channels


def _objects(targets: BoxTargets) -> list[dict[str, Tensor]]:
    """As torchvision takes them: corners in pixels, and class 0 for the background."""
    pixels = torch.cat([targets.sizes, targets.sizes], -1)
    return [
        {"boxes": corners(boxes) * size.to(boxes), "labels": labels + 1}
        for boxes, labels, size in zip(targets.boxes, targets.labels, pixels, strict=True)
    ]


def _stacked(found: list[dict[str, Tensor]], batch: int, count: int, like: Tensor) -> Detections:
    """Lists of different length as one tensor; a score of 0 is no detection."""
    boxes = torch.zeros(batch, count, 4, device=like.device)
    scores = torch.zeros(batch, count, device=like.device)
    labels = torch.zeros(batch, count, dtype=torch.int64, device=like.device)
    for image, one in enumerate(found):
        number = len(one["scores"])
        boxes[image, :number], scores[image, :number] = one["boxes"].float(), one["scores"].float()
        labels[image, :number] = one["labels"] - 1
    return Detections(boxes, scores, labels)
