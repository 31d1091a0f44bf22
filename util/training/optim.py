"""Learning rate, parameter groups and the moving average of the weights."""

import copy
import math
from collections.abc import Iterable, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

_STEP_FACTOR = 0.1  # what a milestone multiplies the learning rate by


def learning_rate_factor(
    iteration: int, *, iterations: int, warmup: float, milestones: Sequence[float] | None = None
) -> float:
    """Share of the base learning rate at ``iteration`` (from 0): linear warm-up, then half a cosine to zero.

    With ``milestones`` steps instead of the cosine: a tenth of the rate after each. They and ``warmup`` are
    shares of ``iterations``; ``warmup`` from 1 on is a number of them, at most a tenth of all. A pure
    function, so there is no schedule state to save.
    """
    steps = round(warmup * iterations) if warmup < 1 else min(round(warmup), iterations // 10)
    if iteration < steps:
        return (iteration + 1) / (steps + 1)
    if milestones is not None:
        return _STEP_FACTOR ** sum(iteration >= round(milestone * iterations) for milestone in milestones)
    return 0.5 * (1.0 + math.cos(math.pi * (iteration - steps) / max(1, iterations - steps)))


def parameter_groups(model: nn.Module, encoder_lr: float | None = None) -> list[dict[str, Any]]:
    """Two groups: matrices and kernels, which decay, and vectors (biases, norms, gains), which do not.

    ``encoder_lr`` makes two more, with this learning rate, of what the model calls its encoder
    (``encoder_parameters``, or a part of the name ``backbone``): by module and not by name, since a name that
    matches nothing would leave everything as it was. Raises ValueError for a model without such a part.
    """
    if encoder_lr is None:
        return _groups(model.parameters())
    encoder = {id(parameter) for parameter in _encoder_parameters(model)}
    own = [parameter for parameter in model.parameters() if id(parameter) in encoder]
    rest = [parameter for parameter in model.parameters() if id(parameter) not in encoder]
    return [*_groups(rest), *(group | {"lr": encoder_lr} for group in _groups(own))]


def _groups(parameters: Iterable[nn.Parameter]) -> list[dict[str, Any]]:
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    decayed = [parameter for parameter in trained if parameter.ndim > 1]
    kept = [parameter for parameter in trained if parameter.ndim <= 1]
    return [{"params": decayed}, {"params": kept, "weight_decay": 0.0}]


def _encoder_parameters(model: nn.Module) -> list[nn.Parameter]:
    """Raises ValueError where there are none."""
    tell, part = getattr(model, "encoder_parameters", None), getattr(model, "backbone", None)
    parameters = tell() if callable(tell) else part.parameters() if isinstance(part, nn.Module) else ()
    found: list[nn.Parameter] = list(cast(Any, parameters))
    if not found:
        raise ValueError(
            f"train.encoder_lr: {type(model).__name__} has no encoder of its own, expected a method "
            "encoder_parameters or a part named backbone. Leave train.encoder_lr at null."
        )
    return found


class WeightAverage:
    """Exponential moving average of a model's parameters and floating-point buffers.

    The decay warms up as (1 + n) / (10 + n) after n updates, so the average forgets the random start quickly.
    Other buffers (counters) are copied. ``model`` is the averaged copy, always in evaluation mode.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay, self.updates = decay, 0
        self.model = copy.deepcopy(model).eval().requires_grad_(False)

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Move the average towards ``model`` by one step."""
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        averaged, counters = _tensors(self.model)
        values, counts = _tensors(model)
        get_ema_multi_avg_fn(decay)(averaged, values, self.updates)
        for mine, new in zip(counters, counts, strict=True):
            mine.copy_(new)
        self.updates += 1


def _tensors(model: nn.Module) -> tuple[list[Tensor], list[Tensor]]:
    """Parameters and buffers: those of floating point, and the others."""
    tensors = [tensor.detach() for tensor in (*model.parameters(), *model.buffers())]
    return [t for t in tensors if t.is_floating_point()], [t for t in tensors if not t.is_floating_point()]
