"""Parameter groups as the published detectors were trained: by what a parameter is called there."""

from typing import Any

from torch import nn

from util.checkpoints.boxes.published_names import published_names

_SLOW = 0.1  # times the learning rate


def published_groups(model: nn.Module, learning_rate: float) -> list[dict[str, Any]]:
    """The groups of an optimizer: a tenth of the rate for the backbone and for sampling offsets.

    Biases and what has ``norm`` in its published name do not decay. (Some norms have no such name and do.)
    """
    names = published_names(model.state_dict())
    groups: dict[tuple[float, bool], list[nn.Parameter]] = {}
    for ours, parameter in model.named_parameters():
        if parameter.requires_grad:
            groups.setdefault(_treatment(names[ours]), []).append(parameter)
    return [
        {"params": parameters, "lr": learning_rate * factor} | ({} if decays else {"weight_decay": 0.0})
        for (factor, decays), parameters in groups.items()
    ]


def _treatment(name: str) -> tuple[float, bool]:
    """Factor of the learning rate, and whether the parameter decays."""
    if "backbone" in name:
        return _SLOW, True
    decays = "norm" not in name and "bias" not in name
    return (_SLOW if "sampling_offsets" in name or "reference_points" in name else 1.0), decays
