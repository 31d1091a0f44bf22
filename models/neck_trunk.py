"""The landmark DETR's backbone and neck as the trunk of a heatmap model: is the neck or the loss to blame?"""

from torch import Tensor, nn

from models.backbone import TimmBackbone
from models.neck import create_neck


class NeckTrunk(nn.Module):
    """Features of stride 4 from ``encoder`` and one of the necks."""

    stride, multiple = 4, 32

    def __init__(self, *, encoder: TimmBackbone, neck: str, embed_dim: int = 128, fine_dim: int = 64) -> None:
        super().__init__()
        self.encoder = encoder
        self.neck = create_neck(
            neck, encoder.channels, embed_dim, fine_dim=fine_dim, group_norm=encoder.norm == "group"
        )
        self.channels = fine_dim

    def forward(self, images: Tensor) -> Tensor:
        """(B, 1, H, W) normalised images -> (B, fine_dim, H / 4, W / 4)."""
        return self.neck(self.encoder(images)).fine
