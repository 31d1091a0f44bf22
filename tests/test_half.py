"""fp16, as far as a CPU can show it: it trains, skips what overflows, and stops when it only skips."""

import json

import pytest
import torch
from accelerate.state import AcceleratorState

from datasets.landmarks.batch import collate
from datasets.loader import TrainSampler, eval_loader, train_loader
from datasets.prepared.prepared import PreparedDataset
from models.landmarks.losses import LandmarkCriterion
from tasks.landmarks import LandmarkTask
from tests.support.half import HalfAccelerator
from tests.support.small_detr import small_detr
from tests.support.tiny import TinyCriterion, TinyModel, TinyTransforms
from util.config import load_config
from util.training.engine import TrainingData, TrainingRun
from util.training.optim import parameter_groups
from util.training.run_folder import RunFolder
from util.training.settings import TrainSettings
from util.training.trainer import NonFiniteError, Trainer

SIZE = (96, 64)


@pytest.fixture(autouse=True)
def fresh_accelerate():
    AcceleratorState._reset_state(reset_partial_state=True)
    yield
    AcceleratorState._reset_state(reset_partial_state=True)


def make_trainer(model=None, criterion=None, *, scale: float = 2.0**16, iterations: int = 100) -> Trainer:
    """The tiny model, or ``model``, in fp16."""
    model, criterion = model or TinyModel(num_landmarks=5), criterion or TinyCriterion()
    settings = TrainSettings(
        output_dir="not used",
        iterations=iterations,
        batch_size=2,
        warmup=0.0,
        log_every=1,
        mixed_precision="fp16",
    )
    optimizer = torch.optim.AdamW(parameter_groups(model), lr=1e-3)
    return Trainer(
        model,
        criterion,
        optimizer,
        task=LandmarkTask(),
        settings=settings,
        accelerator=HalfAccelerator(scale),
    )


@pytest.fixture
def batches(tiny_prepared):
    dataset = PreparedDataset(tiny_prepared, "train", TinyTransforms(size=SIZE))
    return iter(train_loader(dataset, TrainSampler(len(dataset), 2, seed=0), 0, collate=collate))


def poison(trainer: Trainer) -> None:
    """From now on a gradient overflows at any scale."""
    list(trainer.model.parameters())[-1].register_hook(lambda gradient: gradient + float("inf"))


def copies(model) -> list[torch.Tensor]:
    return [parameter.detach().clone() for parameter in model.parameters()]


def test_a_landmark_detr_learns_in_fp16(batches):
    trainer = make_trainer(small_detr(), LandmarkCriterion())
    reports = [trainer.step([next(batches)]) for _ in range(12)]
    losses = [float(report.losses["loss"]) for report in reports]
    assert sum(losses[-3:]) < 0.8 * sum(losses[:3])
    assert reports[-1].grad_norm is not None and torch.isfinite(reports[-1].grad_norm)
    assert {parameter.dtype for parameter in trainer.model.parameters()} == {torch.float32}


def test_a_skipped_step_moves_neither_weights_nor_average_and_has_no_norm(batches):
    trainer = make_trainer(scale=2.0**10)
    trainer.step([next(batches)])
    poison(trainer)
    before, average, updates = copies(trainer.model), copies(trainer.average.model), trainer.average.updates
    report = trainer.step([next(batches)])
    assert report.grad_norm is None and trainer.average.updates == updates
    assert all(map(torch.equal, before, copies(trainer.model)))
    assert all(map(torch.equal, average, copies(trainer.average.model)))
    assert trainer.accelerator.scaler.get_scale() == 2.0**9


@pytest.mark.parametrize(
    ("scale", "steps", "message"),
    [
        (4.0, 3, "gradient at a loss scale of 0.5 is not finite"),
        (2.0**40, 20, "gradient of 20 steps in a row"),
    ],
)
def test_a_training_that_only_skips_stops(batches, scale, steps, message):
    """Before, it reported success at its last iteration."""
    trainer = make_trainer(scale=scale)
    poison(trainer)
    batch = next(batches)
    for _ in range(steps - 1):
        assert trainer.step([batch]).grad_norm is None
    with pytest.raises(NonFiniteError, match=message):
        trainer.step([batch])


def test_the_log_has_no_norm_of_a_skipped_step_and_counts_it(tiny_prepared, batches, tmp_path):
    trainer = make_trainer(iterations=3)
    val = PreparedDataset(tiny_prepared, "val", TinyTransforms(size=SIZE))
    data = TrainingData(batches, eval_loader(val, 2, 0, collate=collate), val)
    run = TrainingRun(trainer, data, RunFolder(tmp_path), load_config("tests/support/tiny_config.py"))
    run.run(lambda progress: poison(trainer) if progress.iteration == 1 else None)
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    trained = [line for line in lines if "loss" in line]
    assert ["grad_norm" in line for line in trained] == [True, False, False]
    assert [line["skipped"] for line in trained] == [0.0, 1.0, 1.0]
