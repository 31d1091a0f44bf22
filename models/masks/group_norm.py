"""GroupNorm in place of BatchNorm, for batches under 8."""

import math
from typing import Any

from timm.layers import BatchNormAct2d  # pyright: ignore[reportPrivateImportUsage]
from torch import nn

_GROUPS = 16  # at most


def use_group_norm(module: nn.Module) -> int:
    """Exchange every BatchNorm inside ``module`` for a GroupNorm; how many there were.

    Scale and shift are kept, and so are the dropout and the activation that timm puts inside some of its
    layers. Wu & He, Group normalization (2018).
    """
    count = 0
    for name, child in module.named_children():
        if isinstance(child, nn.BatchNorm2d):
            setattr(module, name, _exchanged(child))
            count += 1
        else:
            count += use_group_norm(child)
    return count


def _exchanged(norm: nn.BatchNorm2d) -> nn.Module:
    group = nn.GroupNorm(math.gcd(norm.num_features, _GROUPS), norm.num_features, eps=norm.eps)
    if norm.affine:
        group.weight, group.bias = norm.weight, norm.bias
    if isinstance(norm, BatchNormAct2d):
        hidden: Any = norm  # timm's, untyped
        return nn.Sequential(group, hidden.drop, hidden.act)
    return group
