"""Operations counted by hand, and the same by util.benchmark.flops."""

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.deformable_attention import DeformableAttention
from tests.support.small_detr import random_images, small_detr
from util.benchmark.flops import count_flops


class Call(nn.Module):
    """A function as a model."""

    def __init__(self, function, **children: nn.Module) -> None:
        super().__init__()
        self.function = function
        for name, child in children.items():
            self.add_module(name, child)

    def forward(self, images: Tensor):
        return self.function(images)


@dataclass(frozen=True)
class Output:
    """As models return: tensors inside a dataclass inside a tuple."""

    points: Tensor


GRID = torch.zeros(2, 5, 7, 2)
IMAGES = torch.zeros(2, 3, 8, 8)
ADDED, KEY_AND_VALUE = torch.zeros(8, 6, 6), (torch.zeros(2, 4, 9, 16), torch.zeros(2, 4, 9, 5))
VECTOR = torch.zeros(16)
TOKENS = torch.zeros(2, 4, 6, 16)  # (batch, heads, length, dim)


@pytest.mark.parametrize(
    ("expected", "module", "images"),
    [
        (2 * 2 * 8 * 8 * 10 * 3 * 9, nn.Conv2d(3, 10, 3, padding=1), IMAGES),
        (2 * 2 * 8 * 8 * 6 * 9, nn.Conv2d(3, 6, 3, padding=1, groups=3), IMAGES),
        (2 * 2 * 4 * 6 * 16 * 5, nn.Linear(16, 5), TOKENS),
        (2 * 2 * 4 * 6 * 16 * 6, Call(lambda x: x @ x.transpose(-1, -2)), TOKENS),
        (2 * 2 * 4 * 6 * 16, Call(lambda x: x @ VECTOR), TOKENS),
        (2 * 2 * 4 * 6 * 16, Call(lambda x: VECTOR @ x.mT), TOKENS),
        (2 * 2 * 4 * 6 * 16 * 6, Call(lambda x: torch.einsum("bhqc,bhkc->bhqk", x, x)), TOKENS),
        (2 * 8 * 6 * 16 * 6, Call(lambda x: torch.baddbmm(ADDED, x, x.mT)), TOKENS.flatten(0, 1)),
        (8 * 2 * 3 * 5 * 7, Call(lambda x: F.grid_sample(x, GRID, align_corners=False)), IMAGES),
        (8 * 2 * 3 * 16 * 16, Call(lambda x: F.interpolate(x, scale_factor=2.0, mode="bilinear")), IMAGES),
        (
            2 * 2 * 4 * (6 * 9 * 16 + 6 * 9 * 5),  # q k^T, then its product with values of another width
            Call(lambda x: F.scaled_dot_product_attention(x, *KEY_AND_VALUE)),
            TOKENS,
        ),
        (5 * TOKENS.numel(), nn.LayerNorm(16), TOKENS),
    ],
)
def test_known_operators(expected: int, module: nn.Module, images: Tensor) -> None:
    count = count_flops(module, images)
    assert count.total == expected
    assert count.uncounted == {}


def test_attention_does_not_depend_on_the_fast_path() -> None:
    attention = nn.MultiheadAttention(16, 4, batch_first=True)
    model = Call(lambda x: attention(x, x, x, need_weights=False)[0], attention=attention)
    tokens = torch.zeros(2, 6, 16)
    by_hand = 2 * 2 * 6 * 16 * 16 * 4 + 2 * 2 * 2 * 6 * 6 * 16  # four projections, two products
    assert count_flops(model, tokens).total == by_hand
    assert count_flops(model.eval(), tokens).total == by_hand
    assert torch.backends.mha.get_fastpath_enabled()


def test_deformable_attention_is_counted_with_its_sampling() -> None:
    dim, heads, points, queries = 16, 4, 2, 5
    sizes = [(8, 6), (4, 3)]
    attention = DeformableAttention(dim, heads, len(sizes), points)
    references, maps = torch.full((1, queries, 2), 0.5), [torch.zeros(1, dim, *size) for size in sizes]
    model = Call(lambda content: attention(content, references, maps), attention=attention)
    cells = sum(height * width for height, width in sizes)
    sampled = heads * len(sizes) * points  # points of a query
    by_hand = (
        2 * dim * dim * (cells + queries)  # values and output
        + 2 * queries * dim * sampled * 3  # two offsets and a weight for every point
        + 8 * queries * sampled * (dim // heads)
    )
    count = count_flops(model, torch.zeros(1, queries, dim))
    assert count.total == by_hand == count.parts["attention"]
    assert "softmax" in count.uncounted and "grid_sampler" not in count.uncounted


def test_parts_add_up_and_lists_are_one_part() -> None:
    first, second, head = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 1), nn.Conv2d(4, 2, 1)
    model = Call(
        lambda x: (Output(head(second(first(x)))), {"extra": x @ x}),
        stages=nn.ModuleList([first, second]),
        head=head,
    )
    count = count_flops(model, torch.zeros(1, 3, 8, 8))
    assert count.parts == {"stages": 2 * 64 * (12 + 16), "head": 2 * 64 * 8, "other": 2 * 3 * 8 * 8 * 8}
    assert count.total == sum(count.parts.values())


def test_operators_without_a_formula_are_named() -> None:
    count = count_flops(Call(lambda x: x.sin().sin() + x), torch.ones(3))
    assert (count.total, count.uncounted) == (0.0, {"add": 1, "sin": 2})


def test_a_whole_model_is_traced_with_all_its_parts() -> None:
    model = small_detr().eval()
    count = count_flops(model, random_images(1))
    assert set(count.parts) == {name for name, _ in model.named_children()} | {"other"}
    assert all(count.parts[name] > 0 for name, _ in model.named_children())
    assert count.total == pytest.approx(sum(count.parts.values()))
    assert count_flops(model, random_images(2)).total == pytest.approx(2 * count.total)
