"""A landmark DETR that runs in milliseconds, and images on which it can be tried."""

import numpy as np
import torch
from torch import Tensor, nn

from models.backbone import TimmBackbone
from models.encoder import SalienceEncoder
from models.landmarks.decoder import LandmarkDecoder
from models.landmarks.landmark_detr import LandmarkDetr
from models.landmarks.prediction import Targets

DIM = 32


def small_detr(
    num_landmarks: int = 5,
    *,
    name: str = "resnet10t",
    norm: str = "native",
    search_window: float | None = None,
) -> LandmarkDetr:
    """Seeded; every part of the large models is there: two encoder and decoder layers, two ROI stages."""
    torch.manual_seed(0)
    return LandmarkDetr(
        num_landmarks=num_landmarks,
        backbone=TimmBackbone(name, norm=norm),
        embed_dim=DIM,
        encoder=SalienceEncoder(DIM, num_heads=4, layer_ratios=(1.0, 0.5)),
        decoder=LandmarkDecoder(DIM, num_heads=4, num_layers=2),
        fine_dim=16,
        search_window=search_window,
    )


def wake(module: nn.Module, amount: float = 0.1) -> None:
    """Put noise on every parameter: one that starts at zero would hide what lies behind it."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(amount * torch.randn(parameter.shape, generator=generator))


def any_modes(num_landmarks: int = 5) -> tuple[np.ndarray, np.ndarray, float]:
    """Seeded, what a ``ShapeSearch`` learns: two modes of a shape of half a canvas."""
    rng = np.random.default_rng(4)
    return rng.uniform(0.2, 0.7, (num_landmarks, 2)), rng.normal(0.0, 0.05, (2, num_landmarks, 2)), 0.01


def random_targets(batch: int, num_landmarks: int = 5) -> Targets:
    """Seeded, all landmarks present, in the inner part of a canvas of 80 x 100 mm."""
    points = 0.2 + 0.6 * torch.rand(batch, num_landmarks, 2, generator=torch.Generator().manual_seed(2))
    present = torch.ones(batch, num_landmarks, dtype=torch.bool)
    return Targets(points, present, torch.tensor([[80.0, 100.0]]).expand(batch, -1))


def random_images(batch: int, height: int = 96, width: int = 64) -> Tensor:
    """(B, 1, height, width) seeded noise in [0, 1]."""
    return torch.rand(batch, 1, height, width, generator=torch.Generator().manual_seed(3))


def draw_blobs(points: np.ndarray, widths: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(H, W) float64 in [0, 1]: the sum of Gaussians at (K, 2) continuous pixels.

    ``widths`` (K,) are their standard deviations; ``size`` is (width, height).
    """
    y, x = np.mgrid[: size[1], : size[0]] + 0.5
    image = np.zeros(x.shape)
    for (px, py), width in zip(points, widths, strict=True):
        image += np.exp(-((x - px) ** 2 + (y - py) ** 2) / (2 * width**2))
    return image.clip(0.0, 1.0)
