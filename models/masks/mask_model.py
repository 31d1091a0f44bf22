"""What every mask model takes and gives."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.normalisation import FixedScale, Normalisation


@dataclass(frozen=True)
class MaskTargets:
    """The annotated structures of B images. Structures overlap, so every class has a map of its own."""

    masks: Tensor  # (B, K, H, W) bool, pixels of the canvas
    known: Tensor  # (B, K) bool: whether someone looked for the class; where not, its map says nothing
    attributes: Tensor  # (B, A) int64: the value of each attribute of an image (sex, side), -1 unknown


@dataclass(frozen=True)
class MaskOutputs:
    """K independent maps an image: the sigmoid of a logit is the probability of its class there."""

    logits: Tensor  # (B, K, H / stride, W / stride) float32
    stride: int
    attributes: tuple[Tensor, ...] = ()  # A times (B, values) float32 logits
    thresholds: tuple[float, ...] | None = None  # (K,) the model's, for whoever evaluates; None: 1/2 each

    @property
    def final(self) -> Tensor:
        """(B, K, H, W) logits of the canvas's pixels, made anew each time."""
        height, width = self.logits.shape[-2:]
        return enlarged(self.logits, (height * self.stride, width * self.stride))

    def image(self, index: int) -> Tensor:
        """(K, H, W) of ``final``, one image's."""
        return replace(self, logits=self.logits[index : index + 1]).final[0]


class MaskModel(nn.Module):
    """Base of the models: K overlapping structures from (B, C, H, W) images in [0, 1].

    ``normalise`` makes of an image what the layers see (default: ``FixedScale()``). ``thresholds`` (K,) are
    the probabilities from which a pixel belongs to its class: 1/2 while training, then what the validation
    images ask for. They are no weights, so checkpoints keep them beside the weights. ``attribute_values``
    says how many values each attribute has that the model tells of the whole image.
    """

    output_tensors: ClassVar[tuple[str, ...]] = ("head.weight", "head.bias")  # whose rows are classes
    thresholds: Tensor

    def __init__(
        self,
        num_classes: int,
        normalise: Normalisation | None = None,
        attribute_values: Sequence[int] = (),
    ) -> None:
        super().__init__()
        self.attribute_values = tuple(attribute_values)
        if num_classes < 1:
            raise ValueError(f"num_classes={num_classes}: expected at least 1.")
        self.num_classes, self.normalise = num_classes, normalise or FixedScale()
        self.register_buffer("thresholds", torch.full((num_classes,), 0.5), persistent=False)

    def undecided(self, images: Tensor, rounding: float) -> Tensor | None:
        """(B, K, h, w) bool: cells whose logits may jump where others move by no more than ``rounding``.

        None for a model whose maps are smooth.
        """
        return None

    def encoder_parameters(self) -> list[nn.Parameter]:
        """The parameters that may have a learning rate of their own: of the part that can be pretrained."""
        raise NotImplementedError


def enlarged(logits: Tensor, size: tuple[int, int] | torch.Size) -> Tensor:
    """(B, K, h, w) -> (B, K, H, W) by bilinear interpolation between the centres of cells.

    The one convention of training, evaluation and export: with corners aligned in one of them only, outlines
    would move by up to half a cell.
    """
    if logits.shape[-2:] == torch.Size(size):
        return logits
    return F.interpolate(logits, tuple(size), mode="bilinear", align_corners=False)
