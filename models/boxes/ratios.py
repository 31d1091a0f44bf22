"""The shares of tokens that the encoder works on: in a checkpoint, and known without a look at a tensor."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn


class FilterRatios(nn.Module):
    """``levels`` and ``layers`` as tuples of numbers; the buffers are what a state dict holds of them."""

    level_ratios: Tensor
    layer_ratios: Tensor

    def __init__(self, levels: Sequence[float], layers: Sequence[float], num_levels: int) -> None:
        super().__init__()
        if len(levels) != num_levels:
            raise ValueError(f"level_ratios has {len(levels)} numbers, expected {num_levels}, one a level.")
        for ratio in (*levels, *layers):
            if not 0.0 < ratio <= 1.0:
                raise ValueError(f"salience ratio {ratio}: expected a share in (0, 1].")
        self.levels, self.layers = tuple(levels), tuple(layers)
        self.register_buffer("level_ratios", torch.tensor(self.levels, dtype=torch.float32))
        self.register_buffer("layer_ratios", torch.tensor(self.layers, dtype=torch.float32))
        self.register_load_state_dict_post_hook(_follow_buffers)


def _follow_buffers(module: nn.Module, _keys: Any) -> None:
    assert isinstance(module, FilterRatios)
    module.levels = tuple(module.level_ratios.float().tolist())
    module.layers = tuple(module.layer_ratios.float().tolist())
