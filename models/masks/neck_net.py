"""The landmark model's backbone and neck with a mask head: a UNet that ends at stride 4."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from models.backbone import STRIDES, TimmBackbone, require_multiple
from models.masks.auxiliary import AttributeHeads
from models.masks.mask_model import MaskModel, MaskOutputs, MaskTargets
from models.neck import ExpandingPath
from models.normalisation import Normalisation
from models.precision import full_precision

_PRIOR_LOGIT = -2.0  # of the first maps: structures are the lesser part of an image


class NeckMaskNet(MaskModel):
    """K sigmoid maps of stride 4 from the finest map of the neck.

    Enlarged maps of smooth logits place an outline well below the size of a cell, and the blocks of strides 2
    and 1, half of a UNet's time, are left out.
    """

    def __init__(
        self,
        *,
        num_classes: int,
        backbone: TimmBackbone,
        embed_dim: int = 128,
        fine_dim: int = 64,
        attribute_values: Sequence[int] = (),
        normalise: Normalisation | None = None,
    ) -> None:
        super().__init__(num_classes, normalise, attribute_values)
        self.backbone = backbone
        self.neck = ExpandingPath(backbone.channels, embed_dim, fine_dim=fine_dim, norm=backbone.norm)
        self.head = nn.Conv2d(fine_dim, num_classes, 1)
        nn.init.constant_(torch.as_tensor(self.head.bias), _PRIOR_LOGIT)
        self.attributes = (
            AttributeHeads(backbone.channels[-1], attribute_values) if attribute_values else None
        )

    def forward(self, images: Tensor, targets: MaskTargets | None = None) -> MaskOutputs:
        """(B, C, H, W) images in [0, 1] -> (B, K, H / 4, W / 4) logits. ``targets`` are not used.

        Raises ValueError for sides that are no multiples of 32.
        """
        require_multiple(images, STRIDES[-1])
        maps = self.backbone(self.normalise(images))
        fine = self.neck.expand(maps)[-1]
        with full_precision(images):
            logits = self.head(fine.float())
        attributes = () if self.attributes is None else self.attributes(maps[-1])
        return MaskOutputs(logits, STRIDES[0], attributes)

    def encoder_parameters(self) -> list[nn.Parameter]:
        return list(self.backbone.parameters())
