"""Contrastive denoising: queries that start from distorted truth, some near it, some too far (DINO, 2023)."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from models.boxes.geometry import centred, corners, logit
from models.boxes.targets import BoxTargets

_QUERIES = 100  # positive ones that a group's repeats aim at
_REPLACED = 0.25  # probability that a label is exchanged for a random one


@dataclass(frozen=True)
class Draws:
    """All that is random, for n = objects of the batch times 2 times groups, in the order it is drawn."""

    replace: Tensor  # (n,) uniform in [0, 1)
    label: Tensor  # (n,) a class
    positive: Tensor  # (n, 4) 0 or 1: the side's direction
    distance: Tensor  # (n, 4) uniform in [0, 1)

    @classmethod
    def random(cls, count: int, num_classes: int, like: Tensor) -> "Draws":
        options = {"dtype": like.dtype, "device": like.device}
        return cls(
            torch.rand(count, **options),
            torch.randint(num_classes, (count,), device=like.device),
            torch.randint(2, (count, 4), device=like.device),
            torch.rand(count, 4, **options),
        )


@dataclass(frozen=True)
class Denoising:
    """G groups of 2 m queries an image: m near their object, then m too far from it.

    Images with fewer than m objects have filled places; ``real`` says which are not.
    """

    content: Tensor  # (B, G * 2 m, C)
    boxes: Tensor  # (B, G * 2 m, 4) centre x, centre y, width, height
    real: Tensor  # (B, G * 2 m) bool
    groups: int
    group_size: int  # 2 m

    @property
    def count(self) -> int:
        return self.groups * self.group_size

    def matches(self, image: int, num_objects: int) -> tuple[Tensor, Tensor]:
        """The queries of an image that start near an object, and their objects."""
        objects = torch.arange(num_objects, device=self.boxes.device)
        starts = torch.arange(self.groups, device=self.boxes.device)[:, None] * self.group_size
        return (starts + objects).flatten(), objects.repeat(self.groups)

    def hidden(self, num_queries: int) -> Tensor:
        """(n, n) bool, n = denoising and then ``num_queries`` others: who does not see whom.

        Groups do not see each other, and nobody else sees them: they know the truth.
        """
        group = torch.arange(self.count + num_queries, device=self.boxes.device) // max(self.group_size, 1)
        group[self.count :] = -1
        return (group[:, None] != group) & (group >= 0)


class DenoisingQueries(nn.Module):
    """Content from the (sometimes wrong) label, boxes with every side moved.

    A positive query's sides move by less than half the box's size, a negative one's by half to all of it.
    ``most_objects``: of an image with more only so many, drawn at random, take part; None: all, however many
    queries that makes.
    """

    def __init__(self, embed_dim: int, num_classes: int, *, most_objects: int | None) -> None:
        super().__init__()
        self.most_objects = most_objects
        self.labels = nn.Embedding(num_classes, embed_dim)

    def chosen(self, targets: BoxTargets) -> BoxTargets:
        """The objects that take part."""
        if self.most_objects is None:
            return targets
        return targets.at_most(self.most_objects)

    def forward(self, targets: BoxTargets, draws: Draws | None = None) -> Denoising:
        """Queries for the ``chosen`` objects of a batch."""
        counts = [len(labels) for labels in targets.labels]
        most, total = max(counts), sum(counts)
        groups = max(1, _QUERIES // most) if most else 1
        labels, boxes = torch.cat(targets.labels), torch.cat(targets.boxes)
        repeated = labels.repeat(2 * groups)
        if draws is None:
            draws = Draws.random(len(repeated), self.labels.num_embeddings, boxes)
        noisy_labels = torch.where(draws.replace < _REPLACED, draws.label, repeated)
        negative = (torch.arange(2 * groups, device=boxes.device) % 2).repeat_interleave(total)
        noisy = _distorted(boxes.repeat(2 * groups, 1), draws, negative)
        image, place = _places(counts, groups, most, boxes.device)
        content = self.labels(noisy_labels)
        size = (len(counts), groups * 2 * most)
        return Denoising(
            content=content.new_zeros(*size, content.shape[-1]).index_put((image, place), content),
            boxes=boxes.new_full((*size, 4), 0.5).index_put((image, place), logit(noisy).sigmoid()),
            real=torch.zeros(size, dtype=torch.bool, device=boxes.device).index_put(
                (image, place), torch.ones_like(image, dtype=torch.bool)
            ),
            groups=groups,
            group_size=2 * most,
        )


def _distorted(boxes: Tensor, draws: Draws, negative: Tensor) -> Tensor:
    """(n, 4) boxes with their four sides moved apart from each other, within the image."""
    half = torch.cat([boxes[:, 2:], boxes[:, 2:]], -1) / 2
    direction = draws.positive.to(boxes.dtype) * 2.0 - 1.0
    moved = corners(boxes) + direction * (draws.distance + negative[:, None]) * half
    return centred(moved.clamp(0.0, 1.0))


def _places(counts: Sequence[int], groups: int, most: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Image and place of each query, in the order (group, near or far, object of the batch)."""
    image = torch.cat([torch.full((n,), b, device=device) for b, n in enumerate(counts)])
    place = torch.cat([torch.arange(n, device=device) for n in counts])
    halves = torch.arange(2 * groups, device=device)[:, None] * most
    return image.repeat(2 * groups), (halves + place).flatten()
