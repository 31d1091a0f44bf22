"""Training from the first iteration to the last, and evaluation on the way.

What is found on an image is the task's affair (``util.training.task``).
"""

import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import torch
from accelerate import PartialState
from accelerate.utils import gather_object
from omegaconf import DictConfig, OmegaConf
from torch import nn
from torch.utils.data import DataLoader

from datasets.loader import parts_of
from datasets.sample import plain_fields
from models.precision import exact_inference
from util.checkpoints.checkpoint import FORMAT, KEYS, save_checkpoint
from util.files import WriteError
from util.training.interrupt import StopRequest
from util.training.logs import Means, RunLog
from util.training.run_folder import RunFolder
from util.training.selection import Selection
from util.training.settings import TrainSettings
from util.training.task import Task, TaskData, require_criterion
from util.training.trainer import NonFiniteError, StepReport, Trainer

_PICTURED = 4  # validation cases shown in TensorBoard


@exact_inference()
def evaluate(task: Task, model: nn.Module, batches: Iterable[Any], device: torch.device | str) -> Any:
    """The task's results of ``model``, in evaluation mode and full precision, on all of ``batches``."""
    evaluator = task.evaluator()
    model.eval()
    for batch in batches:
        batch = batch.to(device)
        evaluator.update(task.outputs(model, batch), batch)
    return evaluator.results()


def evaluate_shared(
    task: Task, model: nn.Module, batches: Collection[Any], device: torch.device | str
) -> Any:
    """``evaluate`` by all processes together: each gives it its share of the batches, each gets all results.

    With the shares of ``eval_loader`` they are, to the bit and in order, those of one process. Every process
    must call; one without a batch (more processes than batches) waits for the others.
    """
    own = [evaluate(task, model, batches, device)] if len(batches) else []
    return task.joined(gather_object(own) if PartialState().num_processes > 1 else own)


@dataclass(frozen=True)
class TrainingData:
    """What a training reads. The loaders give this process's share; ``val`` is the whole validation set."""

    train_loader: DataLoader[Any]
    val_loader: DataLoader[Any]
    val: TaskData
    digest: str | None = None  # of the folder's annotations, by which a continuation knows its data


@dataclass(frozen=True)
class Progress:
    """The state after a step, for a progress bar."""

    iteration: int
    report: StepReport
    metrics: dict[str, Any]  # of the last evaluation; empty before the first


Ending = Literal["finished", "no improvement", "stopped"]


class TrainingRun:
    """One run and what it leaves behind: log, checkpoints, pictures.

    A continued run writes the same weights as one that was never stopped.
    """

    def __init__(self, trainer: Trainer, data: TrainingData, folder: RunFolder, config: DictConfig) -> None:
        self.trainer, self.data, self.folder = trainer, data, folder
        self.settings: TrainSettings = trainer.settings
        self.task = trainer.task
        self.selection = Selection(require_criterion(self.task, self.settings.select), self.settings.patience)
        self.metrics: dict[str, Any] = {}
        self.beside: dict[str, Any] = {}  # what belongs to the weights that ``metrics`` are of
        self._meaning = self.task.meaning(data.val)
        self._config = OmegaConf.to_yaml(config)
        self._seconds = 0.0  # of this run before its last continuation
        self._started = self._saved = time.perf_counter()
        self._writes = trainer.accelerator.is_main_process

    @property
    def seconds(self) -> float:
        """Wall time of the run, over all its continuations."""
        return self._seconds + time.perf_counter() - self._started

    def restore(self, checkpoint: Mapping[str, Any]) -> None:
        """Take up selection and clock from the content of a ``last.pt``; the trainer is restored before."""
        training = checkpoint["training"]
        self.selection = Selection(**training["selection"])
        self.metrics, self._seconds = checkpoint["metrics"], training["seconds"]
        known = KEYS | self._meaning.to_dict().keys() | {"training"}
        self.beside = {key: value for key, value in checkpoint.items() if key not in known}

    def run(self, on_step: Callable[[Progress], None] | None = None) -> Ending:
        """Train to the last iteration, to the end of patience, or to Ctrl-C or SIGTERM; write ``last.pt``.

        Raises NonFiniteError after it has put the step's batch and weights into ``nan_state.pt``, and
        WriteError when the folder takes no more; the last whole checkpoint stays.
        """
        log = RunLog(self.folder.path, self.trainer.iteration) if self._writes else None
        try:
            with StopRequest() as stop:
                return self._loop(stop, log, on_step)
        except NonFiniteError as error:
            if self._writes:
                self._save_faulty(error)
            raise
        except WriteError as error:
            raise WriteError(f"{error} {self.folder.how_to_continue()}") from error
        finally:
            if log is not None:
                log.close()

    def _loop(
        self, stop: StopRequest, log: RunLog | None, on_step: Callable[[Progress], None] | None
    ) -> Ending:
        trainer, settings = self.trainer, self.settings
        batches, means, timer = iter(self.data.train_loader), Means(), _Rate()
        stopped = False
        while not (trainer.finished or self.selection.exhausted or stopped):
            with timer:
                report = trainer.step([next(batches) for _ in range(settings.accumulate_steps)])
            timer.images += report.images
            means.add(report.losses)
            if report.grad_norm is not None:
                means.add({"grad_norm": report.grad_norm})
            if settings.mixed_precision == "fp16":
                means.add({"skipped": float(report.grad_norm is None)})
            if trainer.iteration % settings.log_every == 0 or trainer.finished:
                self._log_step(log, report, means, timer)
            if trainer.iteration % settings.eval_every == 0 or trainer.finished:
                self._evaluate(log)
            if on_step is not None:
                on_step(Progress(trainer.iteration, report, self.metrics))
            stopped = trainer.any_rank(stop.requested)
            ends = trainer.finished or self.selection.exhausted or stopped
            if ends or time.perf_counter() - self._saved >= 60.0 * settings.save_minutes:
                self._save_last()
        return "finished" if trainer.finished else "no improvement" if self.selection.exhausted else "stopped"

    def _log_step(self, log: RunLog | None, report: StepReport, means: Means, timer: "_Rate") -> None:
        values = means.take() | {"lr": report.learning_rate, "images_per_second": timer.take()}
        if log is not None:
            log.write(self.trainer.iteration, self.seconds, values)

    def _evaluate(self, log: RunLog | None) -> None:
        """Evaluate the averaged weights on all processes together; keep them if they are the best."""
        task = self.task
        loader: Any = self.data.val_loader
        results = evaluate_shared(task, self.trainer.average.model, loader, self.trainer.accelerator.device)
        self.metrics, self.beside = task.headline(results), task.beside_weights(results)
        value = task.criteria[self.selection.select](self.metrics)
        best = self.selection.update(self.trainer.iteration, self.metrics, value)
        if log is not None:
            scalars = task.scalars(self.metrics)
            log.write(self.trainer.iteration, self.seconds, {f"val/{k}": v for k, v in scalars.items()})
            if (picture := self._picture()) is not None:
                log.picture(self.trainer.iteration, picture)
            if best:
                self.folder.save_best(self._checkpoint())

    @exact_inference()
    def _picture(self) -> Any:
        count = min(_PICTURED, parts_of(self.data.val)[0])
        batch: Any = self.task.collate([self.data.val[index] for index in range(count)])
        batch = batch.to(self.trainer.accelerator.device)
        return self.task.picture(batch, self.task.outputs(self.trainer.average.model, batch))

    def _save_last(self) -> None:
        if self._writes:
            self.folder.save_last(self._checkpoint())
        self._saved = time.perf_counter()

    def _checkpoint(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "config": self._config,
            **self._meaning.to_dict(),
            **self.beside,
            "weights": self.trainer.average.model.state_dict(),
            "metrics": self.metrics,
            "iteration": self.trainer.iteration,
            "training": self.trainer.state()
            | {
                "selection": asdict(self.selection),
                "seconds": self.seconds,
                "data_digest": self.data.digest,
            },
        }

    def _save_faulty(self, error: NonFiniteError) -> None:
        state = self._checkpoint() | {"batches": [plain_fields(batch) for batch in error.batches]}
        save_checkpoint(self.folder.path / "nan_state.pt", state)


class _Rate:
    """Images a second of the time spent inside."""

    def __init__(self) -> None:
        self.images, self._spent, self._entered = 0, 0.0, 0.0

    def __enter__(self) -> None:
        self._entered = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self._spent += time.perf_counter() - self._entered

    def take(self) -> float:
        rate = self.images / max(self._spent, 1e-9)
        self.images, self._spent = 0, 0.0
        return rate
