"""One optimizer step, the same on a CPU, on a GPU, or on several."""

import math
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim import Optimizer

from datasets.sample import Batch
from util.checkpoints.checkpoint import load_weights
from util.training.optim import WeightAverage, learning_rate_factor
from util.training.ranks import Objective, average, own_statistics, shared, synchronised
from util.training.reproduce import seed_everything
from util.training.settings import TrainSettings
from util.training.task import Task

_MOST_SKIPS = 20  # steps in a row that fp16 may skip; a scale of 65536 is below 1 after 17


class NonFiniteError(RuntimeError):
    """The loss or its gradient is NaN or infinite. The weights are still those before the step."""

    def __init__(self, iteration: int, what: str, batches: Sequence[Batch]) -> None:
        self.iteration, self.batches = iteration, tuple(batches)
        self.cases = [case for batch in batches for case in batch.cases]
        names = ", ".join(self.cases) or "cases of another process"
        super().__init__(f"iteration {iteration}: the {what} is not finite. Cases of the batch: {names}")


@dataclass(frozen=True)
class StepReport:
    """What one step did. Losses are means over its batches, on the device."""

    losses: dict[str, Tensor]  # "loss" and "loss/PART"
    learning_rate: float
    grad_norm: Tensor | None  # before clipping; None where fp16 skipped the step: weights and average stay
    images: int  # over all processes


class Trainer:
    """A model with its optimizer and its weight average, advanced step by step.

    All that is random in a step is seeded from (seed, iteration, rank), so ``state`` needs no generators and
    a restored trainer continues to the bit.

    A criterion gives the mean over what is annotated on its batch (``Task.weight``). A step follows the
    gradient of the mean over all of its batches, on all processes, as if they were one batch: only BatchNorm
    on a CPU, and in a detector's second neck, sees its own batch alone, and what a model draws (dropout,
    denoising) differs between processes.
    """

    def __init__(
        self,
        model: nn.Module,
        criterion: nn.Module,
        optimizer: Optimizer,
        *,
        task: Task,
        settings: TrainSettings,
        accelerator: Accelerator,
    ) -> None:
        self.task, self.settings, self.accelerator = task, settings, accelerator
        model = synchronised(model, accelerator)
        self.model = model.to(accelerator.device, memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        self.criterion = criterion.to(accelerator.device)
        self.optimizer = accelerator.prepare(optimizer)
        self.average = WeightAverage(self.model, settings.ema_decay)
        self.iteration = 0
        self._skips = 0  # steps in a row that fp16 skipped
        self._base_rates = [group["lr"] for group in optimizer.param_groups]
        self._objective = shared(Objective(self.model, self._losses), accelerator)
        self._statistics = own_statistics(self.model)
        self._parameters = [parameter for parameter in self.model.parameters() if parameter.requires_grad]

    @property
    def finished(self) -> bool:
        return self.iteration >= self.settings.iterations

    def step(self, batches: Sequence[Batch]) -> StepReport:
        """One optimizer step on the mean loss of ``batches``, or NonFiniteError and weights as they were."""
        seed_everything(self.settings.seed, self.iteration, self.accelerator.process_index)
        self.model.train()
        rate = self._set_learning_rate()
        losses = self._backward(batches)
        clipped = self.accelerator.clip_grad_norm_(self._parameters, self.settings.clip_norm)
        norm = torch.as_tensor(clipped)
        if self.accelerator.scaler is None and not norm.isfinite():  # a scaler skips such steps by itself
            raise NonFiniteError(self.iteration, "gradient", batches)
        self.optimizer.step()
        self.optimizer.zero_grad()
        average(self._statistics, self.accelerator)
        skipped = self.optimizer.step_was_skipped
        if skipped:
            self._require_a_way_on(batches)
        else:
            self._skips = 0
            self.average.update(self.model)
        self.iteration += 1
        images = self.settings.batch_size * len(batches)
        return StepReport(losses, learning_rate=rate, grad_norm=None if skipped else norm, images=images)

    def _require_a_way_on(self, batches: Sequence[Batch]) -> None:
        """Raise NonFiniteError when a smaller scale of the loss no longer helps: nothing would be learnt.

        fp16 skips a step whose scaled gradient overflows and halves the scale; a few are usual at the start.
        """
        self._skips += 1
        scale = self.accelerator.scaler.get_scale()  # pyright: ignore[reportOptionalMemberAccess]
        if scale < 1.0:
            raise NonFiniteError(self.iteration, f"gradient at a loss scale of {scale:g}", batches)
        if self._skips >= _MOST_SKIPS:
            raise NonFiniteError(self.iteration, f"gradient of {self._skips} steps in a row", batches)

    def any_rank(self, flag: bool) -> bool:
        """Whether ``flag`` is set on any process; every process must ask."""
        if self.accelerator.num_processes == 1:
            return flag
        flags = torch.tensor(float(flag), device=self.accelerator.device)
        return bool(self.accelerator.reduce(flags, "sum"))

    def state(self) -> dict[str, Any]:
        """What ``restore`` needs besides the averaged weights; plain data."""
        scaler = self.accelerator.scaler
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": None if scaler is None else scaler.state_dict(),
            "average_updates": self.average.updates,
            "skips": self._skips,
        }

    def restore(self, checkpoint: Mapping[str, Any], source: Path) -> None:
        """Continue from the content of a ``last.pt``; ``source`` names it in errors."""
        training = checkpoint["training"]
        load_weights(self.model, training["model"], source)
        load_weights(self.average.model, checkpoint["weights"], source)
        self.optimizer.load_state_dict(training["optimizer"])
        if self.accelerator.scaler is not None and training["scaler"] is not None:
            self.accelerator.scaler.load_state_dict(training["scaler"])
        self.average.updates = training["average_updates"]
        self._skips = training.get("skips", 0)
        self.iteration = checkpoint["iteration"]

    def _backward(self, batches: Sequence[Batch]) -> dict[str, Tensor]:
        """Add up gradients and share those of all; mean losses. NonFiniteError before a loss gives any."""
        sums: dict[str, Tensor] = {}
        for number, (batch, share) in enumerate(zip(batches, self._shares(batches), strict=True), start=1):
            with self._sharing(number == len(batches)):
                total, parts = self._objective(batch.to(self.accelerator.device))
                faulty = not math.isfinite(total.item())
                if self.any_rank(faulty):
                    raise NonFiniteError(self.iteration, "loss", [batch] if faulty else [])
                self.accelerator.backward(total * share)
            values = {"loss": total.detach()} | {f"loss/{name}": part for name, part in parts.items()}
            sums = {name: value / len(batches) + sums.get(name, 0.0) for name, value in values.items()}
        return sums

    def _sharing(self, last: bool) -> AbstractContextManager[None]:
        """Gradients are shared with the last batch of a step; those before wait for it."""
        if last or not isinstance(self._objective, DistributedDataParallel):
            return nullcontext()
        return self._objective.no_sync()

    def _shares(self, batches: Sequence[Batch]) -> list[float]:
        """What each batch's mean loss counts in the mean over what is annotated on all, everywhere.

        Times the number of processes, since their gradients are averaged.
        """
        counts = [self.task.weight(batch) for batch in batches]
        total: Any = torch.tensor(float(sum(counts)), device=self.accelerator.device)
        if self.accelerator.num_processes > 1:
            total = self.accelerator.reduce(total, "mean")
        mean = max(total.item(), 1.0 / self.accelerator.num_processes)  # of the processes, 1 in all at least
        return [count / mean for count in counts]

    def _losses(self, batch: Batch) -> Any:
        targets = self.task.targets(batch)
        batch = replace(batch, images=batch.images.contiguous(memory_format=torch.channels_last))
        with self.accelerator.autocast():
            outputs = self.task.outputs(self.model, batch, targets)
        return self.criterion(outputs, targets, self.iteration / self.settings.iterations)

    def _set_learning_rate(self) -> float:
        factor = learning_rate_factor(
            self.iteration,
            iterations=self.settings.iterations,
            warmup=self.settings.warmup,
            milestones=self.settings.milestones,
        )
        for group, base in zip(self.optimizer.param_groups, self._base_rates, strict=True):
            group["lr"] = base * factor
        return self._base_rates[0] * factor
