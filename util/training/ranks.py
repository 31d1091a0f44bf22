"""What several processes of one training must see alike."""

from collections.abc import Callable
from inspect import signature
from typing import Any, TypeVar

import torch
from accelerate import Accelerator, PartialState
from accelerate.utils import broadcast_object_list
from timm.layers import convert_sync_batchnorm  # pyright: ignore[reportPrivateImportUsage]
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.parallel import DistributedDataParallel

Decided = TypeVar("Decided")


def decided_by_first(decide: Callable[[], Decided]) -> Decided:
    """What ``decide`` gives in the first process, in all of them, and its ValueError too.

    For what is looked up where it may change, as on a shared disk. Every process must call.
    """
    state = PartialState()
    answer: list[Any] = [None, None]
    if state.is_main_process:
        try:
            answer[0] = decide()
        except ValueError as error:
            answer[1] = str(error)
    if state.num_processes > 1:
        broadcast_object_list(answer)
    if answer[1] is not None:
        raise ValueError(answer[1])
    return answer[0]


class Objective(nn.Module):
    """A model with the losses of it as one module, for DistributedDataParallel.

    It looks from what a forward gives which parameters will have a gradient. So a loss that leaves some out,
    or that joins later in training, may not be computed outside.
    """

    def __init__(self, model: nn.Module, losses: Callable[[Any], Any]) -> None:
        """``losses``: a batch -> LossReport, by a forward of ``model``."""
        super().__init__()
        self.model, self.losses = model, losses

    def forward(self, batch: Any) -> tuple[Tensor, dict[str, Tensor]]:
        """The total loss, and its parts without gradient."""
        report = self.losses(batch)
        return report.total, {name: part.detach() for name, part in report.parts.items()}


def shared(objective: Objective, accelerator: Accelerator) -> Objective | DistributedDataParallel:
    """``objective`` whose backward gives every process the mean gradient of all, on the way.

    Buckets of gradients are not dealt anew after the first step where parameters may go unused, so a
    continued run adds up in the order of one that was never stopped.
    """
    if accelerator.num_processes == 1:
        return objective
    return DistributedDataParallel(objective, broadcast_buffers=False, find_unused_parameters=True)


def synchronised(model: nn.Module, accelerator: Accelerator) -> nn.Module:
    """``model`` whose BatchNorm sees the images of all processes, on GPUs: torch has none for the CPU.

    One that is called with more than its maps, such as with what the images cover of them, stays: torch's has
    no place for it.
    """
    if accelerator.num_processes == 1 or accelerator.device.type != "cuda":
        return model
    layers = [(name, layer) for name, layer in model.named_modules() if isinstance(layer, _BatchNorm)]
    kept = {name: layer for name, layer in layers if len(signature(layer.forward).parameters) > 1}
    model = convert_sync_batchnorm(model)
    for name, layer in kept.items():
        model.set_submodule(name, layer)
    return model


def own_statistics(model: nn.Module) -> list[Tensor]:
    """Running means and variances that a process takes from its own images alone."""
    layers = [layer for layer in model.modules() if isinstance(layer, _BatchNorm)]
    apart = [layer for layer in layers if not isinstance(layer, nn.SyncBatchNorm)]
    found = [tensor for layer in apart for tensor in (layer.running_mean, layer.running_var)]
    return [tensor for tensor in found if tensor is not None]


@torch.no_grad()
def average(tensors: list[Tensor], accelerator: Accelerator) -> None:
    """Give every process the mean over all of ``tensors``, in place and in one go."""
    if accelerator.num_processes == 1 or not tensors:
        return
    flat: Any = accelerator.reduce(torch.cat([tensor.flatten() for tensor in tensors]), "mean")
    for tensor, part in zip(tensors, flat.split([tensor.numel() for tensor in tensors]), strict=True):
        tensor.copy_(part.view_as(tensor))
