"""A whole training step of a case: matches, losses, gradients, the AdamW step, running statistics."""

from dataclasses import dataclass

import numpy as np
import torch
from timm.layers import DropPath  # pyright: ignore[reportPrivateImportUsage]
from torch import Tensor, nn

from models.boxes.criterion import BoxCriterion
from models.boxes.decoder import Stage
from models.boxes.detector import SalienceDetr
from models.boxes.outputs import BoxOutputs
from models.boxes.salience_loss import salience_targets
from models.boxes.targets import BoxTargets
from util.checkpoints.boxes.published_names import ALIASES, published_names
from util.inspection.boxes.parity_case import Case
from util.inspection.boxes.parity_numbers import Numbers, training_outputs
from util.training.boxes.published_groups import published_groups

_LEARNING_RATE, _WEIGHT_DECAY, _CLIP_NORM = 1e-4, 1e-4, 0.1


@dataclass(frozen=True)
class TrainingStep:
    """What a step computed."""

    numbers: Numbers
    gradients: dict[str, np.ndarray]  # by published name
    changes: dict[str, np.ndarray]  # of the parameters


def training_step(model: SalienceDetr, case: Case, dtype: torch.dtype) -> TrainingStep:
    """One step with the published groups, learning rate, decay and clipping, and without drop path."""
    drop_no_path(model)
    criterion = BoxCriterion(padding_counts=True)
    outputs, targets, numbers = training_outputs(model, case, dtype)
    report = criterion(outputs, targets, 0.0)
    numbers |= {f"loss/loss_{name}": value for name, value in report.parts.items()}
    numbers |= {"loss/total": report.total} | _matches(criterion, outputs, targets, case)
    wanted = salience_targets(
        outputs, targets, criterion.salience_ranges, padding_counts=criterion.padding_counts
    )
    for level, images in enumerate(wanted):
        numbers |= {f"salience/target/{level}/{b}": values.flatten() for b, values in enumerate(images)}
    numbers |= _statistics(model, case)
    report.total.backward()
    parameters = {name: p for name, p in _by_published_name(model).items() if p.requires_grad}
    gradients = {
        name: _array(torch.zeros_like(p) if p.grad is None else p.grad) for name, p in parameters.items()
    }
    numbers["grad/total_norm"] = _clipped(parameters)
    before = {name: _array(p) for name, p in parameters.items()}
    groups = published_groups(model, _LEARNING_RATE)
    torch.optim.AdamW(groups, lr=_LEARNING_RATE, weight_decay=_WEIGHT_DECAY).step()
    changes = {name: _array(p) - before[name] for name, p in parameters.items()}
    return TrainingStep(numbers, gradients, changes)


def drop_no_path(model: nn.Module) -> None:
    """Keep every block of a large backbone: what a case draws is stated in it, and these draws are not."""
    for module in model.modules():
        if isinstance(module, DropPath):
            module.drop_prob = 0.0


def _clipped(parameters: dict[str, nn.Parameter]) -> Tensor:
    """The norm of all gradients before they are clipped."""
    return nn.utils.clip_grad_norm_(parameters.values(), _CLIP_NORM)


def _by_published_name(model: SalienceDetr) -> dict[str, nn.Parameter]:
    """Parameters by published name; one with two goes by the other one, as in the reference."""
    names = published_names(model.state_dict())
    other = {name: alias for alias, name in ALIASES.items()}
    return {other.get(names[ours], names[ours]): parameter for ours, parameter in model.named_parameters()}


def _matches(criterion: BoxCriterion, outputs: BoxOutputs, targets: BoxTargets, case: Case) -> Numbers:
    numbers: Numbers = {}
    count = len(outputs.stages)
    layers = {"final": outputs.stages[-1]} | {f"aux{i}": outputs.stages[i] for i in range(count - 1)}
    layers["enc"] = Stage(outputs.proposals.logits, outputs.proposals.boxes)
    for name, stage in layers.items():
        for image, match in enumerate(criterion.matcher(stage, targets, None)):
            numbers[f"match/{name}/{image}"] = torch.stack(match)
        if f"match/{name}/cost0" in case.arrays:
            numbers[f"match/{name}/cost0"] = criterion.matcher.cost(
                stage.logits[0], stage.boxes[0], targets.labels[0], targets.boxes[0]
            )
    return numbers


def _statistics(model: SalienceDetr, case: Case) -> Numbers:
    """Sums of the running statistics, in the order in which the reference names them."""
    names = published_names(model.state_dict())
    sums = {names[ours]: buffer.sum() for ours, buffer in model.named_buffers() if ours in names}
    listed = bytes(case.arrays["step/bn_names"]).decode().split("\n")
    return {"step/bn_sum": torch.stack([sums[name] for name in listed])}


def _array(tensor: Tensor) -> np.ndarray:
    return tensor.detach().clone().numpy()
