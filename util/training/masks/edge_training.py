"""The edges of a ``RefinedMaskNet`` trained alone, on points, with everything else as it was trained."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from datasets.masks.batch import collate
from datasets.masks.sample import MaskSample
from datasets.sample import images_of
from models.masks.refined_net import STRIDE, RefinedMaskNet
from util.training.task import Say

_DOUBTFUL = 2.5  # logits nearer to 0 are drawn from: probabilities from 0.08 to 0.92
_WARMUP = 0.1  # share of the steps in which the rate rises


@dataclass(frozen=True)
class SeenImage:
    """What the trained part makes of one augmented image; about 3 MB at 960x960 and five classes."""

    grey: Tensor  # (H, W) uint8
    fine: Tensor  # (C, h, w) float16
    logits: Tensor  # (K, H / 2, W / 2) float16
    truth: Tensor  # (K, H / 2, W / 2) uint8: 255 times the share of the cell that is true
    known: Tensor  # (K,) bool


@torch.no_grad()
def seen_by(model: RefinedMaskNet, samples: Iterable[MaskSample]) -> Iterator[SeenImage]:
    """What the trained part of ``model`` sees on ``samples``, one at a time."""
    model.eval()
    for sample in samples:
        batch = collate([sample])
        images = images_of([sample])
        fine, logits, _ = model.coarse(images)
        shares = F.avg_pool2d(batch.targets.float(), STRIDE)
        yield SeenImage(
            grey=(images[0].mean(0) * 255.0).round().byte(),
            fine=fine[0].half(),
            logits=logits[0].half(),
            truth=(shares[0] * 255.0).round().byte(),
            known=batch.known[0],
        )


def train_edges(
    model: RefinedMaskNet,
    seen: Sequence[SeenImage],
    *,
    steps: int,
    batch_size: int = 6,
    points: int = 128,
    rate: float = 3e-3,
    seed: int = 0,
    say: Say = print,
) -> float:
    """Train ``model.edges`` by binary cross-entropy at doubtful cells; the mean of the last tenth's.

    ``points`` cells an image and class are drawn among those with logits near 0.
    """
    draws = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.AdamW(model.edges.parameters(), rate, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, steps, pct_start=_WARMUP)
    costs: list[float] = []
    model.edges.train()
    for step in range(1, steps + 1):
        chosen = torch.randperm(len(seen), generator=draws)[:batch_size].tolist()
        cost = _cost(model, [seen[number] for number in chosen], points, draws)
        optimizer.zero_grad()
        cost.backward()
        optimizer.step()
        schedule.step()
        costs.append(cost.item())
        if step % max(steps // 10, 1) == 0:
            say(f"step {step}: {sum(costs[-steps // 10 :]) / len(costs[-steps // 10 :]):.4f}")
    model.edges.eval()
    last = costs[-max(steps // 10, 1) :]
    return sum(last) / len(last)


def _cost(model: RefinedMaskNet, images: Sequence[SeenImage], points: int, draws: torch.Generator) -> Tensor:
    index = torch.stack([_drawn(image.logits, points, draws) for image in images])
    logits = torch.stack([image.logits for image in images]).float()
    grey = torch.stack([image.grey for image in images]).float() / 255.0
    change = model.edges(torch.stack([image.fine for image in images]).float(), grey, logits, index)
    truth = torch.stack([image.truth for image in images]).flatten(2).gather(-1, index).float() / 255.0
    found = logits.flatten(2).gather(-1, index) + change
    cost = F.binary_cross_entropy_with_logits(found, truth, reduction="none").mean(-1)
    known = torch.stack([image.known for image in images])
    return torch.where(known, cost, 0.0).sum() / known.sum().clamp(min=1)


def _drawn(logits: Tensor, points: int, draws: torch.Generator) -> Tensor:
    """(K, h, w) -> (K, points) flat numbers of doubtful cells; of any, where a class has none."""
    rows = []
    for flat in logits.flatten(1):
        doubtful = (flat.abs() < _DOUBTFUL).nonzero()[:, 0]
        pool = doubtful if len(doubtful) else torch.arange(len(flat))
        rows.append(pool[torch.randint(len(pool), (points,), generator=draws)])
    return torch.stack(rows)
