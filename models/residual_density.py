"""The shape of the errors' density, learnt beside the model: residual log-likelihood estimation (Li et al., 2021)."""

import math

import torch
from torch import Tensor, nn


class ResidualDensity(nn.Module):
    """log G of a normalising flow (RealNVP; Dinh et al., 2017) over two residuals in units of their scale.

    Alternate affine couplings with masks (1, 0) and (0, 1); the base is the standard normal distribution.
    """

    masks: Tensor

    def __init__(self, layers: int = 6, width: int = 32) -> None:
        super().__init__()
        masks = torch.tensor([[1.0, 0.0], [0.0, 1.0]]).repeat(layers // 2, 1)
        self.register_buffer("masks", masks, persistent=False)
        self.scales = nn.ModuleList(_coupling(width, nn.Tanh()) for _ in masks)
        self.shifts = nn.ModuleList(_coupling(width) for _ in masks)

    def forward(self, residuals: Tensor) -> Tensor:
        """(..., 2) -> (...) log density."""
        log_volume = residuals.new_zeros(residuals.shape[:-1])
        for mask, scale, shift in zip(
            self.masks.flip(0), reversed(self.scales), reversed(self.shifts), strict=True
        ):
            kept = residuals * mask
            log_scale = scale(kept) * (1.0 - mask)
            residuals = kept + (1.0 - mask) * (residuals - shift(kept)) * torch.exp(-log_scale)
            log_volume = log_volume - log_scale.sum(-1)
        return log_volume - 0.5 * residuals.square().sum(-1) - math.log(2.0 * math.pi)


def _coupling(width: int, *last: nn.Module) -> nn.Sequential:
    layers = nn.Sequential(
        nn.Linear(2, width),
        nn.LeakyReLU(),
        nn.Linear(width, width),
        nn.LeakyReLU(),
        nn.Linear(width, 2),
        *last,
    )
    nn.init.zeros_(layers[4].weight)
    nn.init.zeros_(layers[4].bias)
    return layers
