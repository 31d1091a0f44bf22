"""What each of several processes does in ``tests/test_processes.py``. ``run_ranks`` starts them."""

import copy
import os
import socket
from pathlib import Path

import torch
from accelerate import Accelerator
from torch import nn

from datasets.landmarks.batch import collate
from datasets.loader import TrainSampler, eval_loader, train_loader
from datasets.prepared.prepared import PreparedDataset
from models.landmarks.losses import LandmarkCriterion
from tasks.landmarks import LandmarkTask
from tests.support.forked import finish, start
from tests.support.small_detr import small_detr, wake
from tests.support.tiny import TinyCriterion, TinyModel, TinyTransforms
from util.training.engine import evaluate_shared
from util.training.ranks import decided_by_first
from util.training.reproduce import seed_everything
from util.training.settings import TrainSettings
from util.training.trainer import Trainer


def run_ranks(job, count: int, folder: Path, *arguments) -> list:
    """What ``job(*arguments)`` returns in each of ``count`` gloo processes, as torchrun would start them."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    folder.mkdir()
    ranks = [
        start(_as_rank, rank, count, port, folder, job, arguments, log=folder / f"log{rank}.txt")
        for rank in range(count)
    ]
    codes = [finish(process) for process in ranks]
    assert codes == [0] * count, [(folder / f"log{rank}.txt").read_text() for rank in range(count)]
    return [torch.load(folder / f"{rank}.pt", weights_only=False) for rank in range(count)]


def gradients(prepared: Path, batch_size: int, steps: int) -> dict:
    """Gradients of every step and the weights after the last, of a landmark DETR without chance in it."""
    accelerator = Accelerator(cpu=True)
    model = small_detr()
    without_batch_norm(model)
    wake(model)
    model.jitter = (0.0, 0.0)  # denoising draws differ between processes, by design
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
    seen = []
    optimizer.register_step_pre_hook(
        lambda *_: seen.append({name: p.grad.clone() for name, p in model.named_parameters()})
    )
    settings = TrainSettings(output_dir="not used", iterations=10, batch_size=batch_size, clip_norm=1e9)
    trainer = Trainer(
        model,
        LandmarkCriterion(),
        optimizer,
        task=LandmarkTask(),
        settings=settings,
        accelerator=accelerator,
    )
    trainer.iteration = 2  # beyond likelihood_start: every loss takes part
    dataset = PreparedDataset(prepared, "train", TinyTransforms(size=(96, 64)))
    rank, count = accelerator.process_index, accelerator.num_processes
    sampler = TrainSampler(len(dataset), batch_size, seed=0, rank=rank, num_ranks=count)
    batches = iter(train_loader(dataset, sampler, 0, collate=collate))
    for _ in range(steps):
        trainer.step([next(batches)])
    return {"gradients": seen, "weights": model.state_dict()}


def without_batch_norm(module: nn.Module) -> None:
    """BatchNorm sees the images of its own process alone; GroupNorm in its place sees one image."""
    for name, child in module.named_children():
        if isinstance(child, nn.BatchNorm2d):
            setattr(module, name, nn.GroupNorm(1, child.num_features))
        else:
            without_batch_norm(child)


def with_shipped_norm(prepared: Path) -> dict:
    """Tensors after a step of a landmark DETR as it is shipped, on a batch of 4 images together."""
    accelerator = Accelerator(cpu=True)
    model = small_detr()
    settings = TrainSettings(output_dir="not used", iterations=10, batch_size=4)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
    trainer = Trainer(
        model, LandmarkCriterion(), optimizer, task=LandmarkTask(), settings=settings, accelerator=accelerator
    )
    reduce, messages = accelerator.reduce, []
    accelerator.reduce = lambda tensor, how: messages.append(how) or reduce(tensor, how)
    trainer.step([next(_batches(prepared, (96, 64), accelerator, batch_size=4))])
    if accelerator.num_processes > 1:  # statistics travel together, and not a second time by the wrapper
        assert len(messages) < 5 < len(trainer._statistics), messages
        assert not trainer._objective.broadcast_buffers
    return trainer.model.state_dict()


def continued(prepared: Path, stop_at: int) -> dict:
    """Training state after 4 steps of 2 batches, with a new trainer from step ``stop_at`` on.

    The scale of the tiny model joins its loss half way, and the model draws (dropout, noise).
    """
    accelerator = Accelerator(cpu=True)

    def build() -> Trainer:
        seed_everything(0)
        settings = TrainSettings(output_dir="not used", iterations=4, batch_size=4, accumulate_steps=2)
        model = TinyModel(num_landmarks=5)
        optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
        return Trainer(
            model, TinyCriterion(), optimizer, task=LandmarkTask(), settings=settings, accelerator=accelerator
        )

    trainer, batches = build(), _batches(prepared, (24, 20), accelerator, batch_size=4)
    for step in range(4):
        if step == stop_at:
            state = {"training": trainer.state(), "weights": trainer.average.model.state_dict()}
            trainer = build()
            trainer.restore(copy.deepcopy(state) | {"iteration": step}, Path("state"))
        trainer.step([next(batches), next(batches)])
    return trainer.state() | {"average": trainer.average.model.state_dict()}


def _batches(prepared: Path, size: tuple[int, int], accelerator: Accelerator, *, batch_size: int):
    dataset = PreparedDataset(prepared, "train", TinyTransforms(size=size))
    rank, count = accelerator.process_index, accelerator.num_processes
    sampler = TrainSampler(len(dataset), batch_size, seed=0, rank=rank, num_ranks=count)
    return iter(train_loader(dataset, sampler, 0, collate=collate))


def decisions() -> list:
    """What the processes take for decided when each would decide otherwise."""
    rank = Accelerator(cpu=True).process_index

    def refuse() -> None:
        raise ValueError(f"refused by {rank}")

    seen = [decided_by_first(lambda: f"file of {rank}")]
    try:
        decided_by_first(refuse)
    except ValueError as error:
        seen.append(str(error))
    return seen


def evaluation(prepared: Path, batch_size: int) -> dict:
    """Errors of all test cases as this process gets them, and the cases it has predicted itself."""
    accelerator = Accelerator(cpu=True)
    seed_everything(0)
    model = TinyModel(num_landmarks=5)
    nn.init.normal_(model.head.weight)
    dataset = PreparedDataset(prepared, "test", TinyTransforms(size=(48, 40)))
    rank, count = accelerator.process_index, accelerator.num_processes
    loader = eval_loader(dataset, batch_size, 0, collate=collate, rank=rank, num_ranks=count)
    own = [case for batch in loader for case in batch.cases]
    errors = evaluate_shared(LandmarkTask(), model, loader, accelerator.device)
    return {"own": own, "cases": errors.cases, "predicted": errors.predicted, "radial": errors.radial_mm}


def _as_rank(rank: int, count: int, port: int, folder: Path, job, arguments) -> None:
    torch.set_num_threads(1)
    if count > 1:
        os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(count)}
        os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    result = job(*arguments)
    torch.save(result, folder / f"{rank}.pt")
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
