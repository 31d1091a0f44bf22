"""Deformable attention against its definition, written as loops."""

import pytest
import torch
from torch import Tensor

from models.deformable_attention import DeformableAttention
from models.position import cell_centres
from tests.support.small_detr import wake

DIM, HEADS, POINTS = 8, 2, 3
SIZES = [(7, 5), (4, 3)]


@pytest.fixture
def attention() -> DeformableAttention:
    torch.manual_seed(0)
    return DeformableAttention(DIM, HEADS, len(SIZES), POINTS)


@pytest.fixture
def maps() -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(2, DIM, height, width, generator=generator) for height, width in SIZES]


def bilinear(feature_map: Tensor, x: float, y: float) -> Tensor:
    """(C,) of a (C, H, W) map at continuous (x, y) in cells; outside the map lies zero."""
    height, width = feature_map.shape[1:]
    column, row = int((x - 0.5) // 1), int((y - 0.5) // 1)
    total = torch.zeros(len(feature_map))
    for j in (row, row + 1):
        for i in (column, column + 1):
            if 0 <= i < width and 0 <= j < height:
                total = total + (1 - abs(x - 0.5 - i)) * (1 - abs(y - 0.5 - j)) * feature_map[:, j, i]
    return total


def by_loops(module: DeformableAttention, queries: Tensor, references: Tensor, maps: list[Tensor]) -> Tensor:
    batch, count, _ = queries.shape
    offsets = module.offsets(queries).view(batch, count, HEADS, len(maps), POINTS, 2)
    weights = module.weights(queries).view(batch, count, HEADS, -1).softmax(-1)
    weights = weights.view(batch, count, HEADS, len(maps), POINTS)
    values = [module.values(m.permute(0, 2, 3, 1)).permute(0, 3, 1, 2) for m in maps]
    read = torch.zeros(batch, count, DIM)
    width = DIM // HEADS
    for b, q, h, level, p in torch.cartesian_prod(*map(torch.arange, weights.shape)).tolist():
        cells = torch.tensor(maps[level].shape[:1:-1])
        x, y = (references[b, q] * cells + offsets[b, q, h, level, p]).tolist()
        channels = slice(h * width, (h + 1) * width)
        read[b, q, channels] += weights[b, q, h, level, p] * bilinear(values[level][b, channels], x, y)
    return module.output(read)


def pass_through(module: DeformableAttention) -> None:
    """Let values and output be what was read, unprojected."""
    with torch.no_grad():
        for layer in (module.values, module.output):
            layer.weight.copy_(torch.eye(DIM))
            layer.bias.zero_()


def test_equals_the_loops_of_its_definition_also_beyond_the_edges(attention, maps):
    wake(attention, 0.5)
    generator = torch.Generator().manual_seed(2)
    queries = torch.randn(2, 6, DIM, generator=generator)
    references = torch.rand(2, 6, 2, generator=generator) * 1.4 - 0.2
    with torch.no_grad():
        expected = by_loops(attention, queries, references, maps)
        assert torch.allclose(attention(queries, references, maps), expected, atol=1e-5)


def test_constant_maps_give_the_projected_constant(attention):
    wake(attention)
    with torch.no_grad():
        attention.offsets.weight.zero_()
        attention.offsets.bias.uniform_(-0.3, 0.3)
    constant = torch.randn(DIM, generator=torch.Generator().manual_seed(3))
    maps = [constant[None, :, None, None].expand(1, -1, height, width) for height, width in SIZES]
    references = torch.tensor([[[0.5, 0.5], [0.4, 0.6]]])
    with torch.no_grad():
        read = attention(torch.randn(1, 2, DIM), references, maps)
        assert torch.allclose(read, attention.output(attention.values(constant)).expand_as(read), atol=1e-5)


def test_at_a_cell_centre_without_offset_the_cell_itself_is_read(attention):
    pass_through(attention)
    with torch.no_grad():
        attention.offsets.bias.zero_()
    feature_map = torch.randn(1, DIM, 4, 6, generator=torch.Generator().manual_seed(4))
    references = cell_centres(4, 6, feature_map.device)[None]
    with torch.no_grad():
        read = attention(torch.zeros(1, 24, DIM), references, [feature_map] * 2)
    assert torch.allclose(read, feature_map.flatten(2).transpose(1, 2), atol=1e-5)


def test_gradient_reaches_queries_references_maps_and_parameters(attention, maps):
    wake(attention)
    queries, references = torch.randn(2, 6, DIM, requires_grad=True), torch.full((2, 6, 2), 0.45)
    leaves = [queries, references.requires_grad_(), *(m.requires_grad_() for m in maps)]
    attention(queries, references, maps).square().sum().backward()
    for tensor in (*leaves, *attention.parameters()):
        assert tensor.grad is not None and tensor.grad.isfinite().all() and tensor.grad.any()


def test_under_autocast_the_sampling_stays_float32(attention):
    """On a steep map, an offset of 30.2 cells that bfloat16 rounds to 30.25 reads a wrong value."""
    pass_through(attention)
    with torch.no_grad():
        attention.offsets.bias[0::2] = 30.2
        attention.offsets.bias[1::2] = 0.0
    ramp = (torch.arange(256.0) % 2)[None, None, None].expand(1, DIM, 4, -1)  # every other column is 1
    references = torch.tensor([[[100.2 / 256, 0.5], [171.9 / 256, 0.5]]])
    queries = torch.zeros(1, 2, DIM)
    with torch.no_grad():
        full = attention(queries, references, [ramp, ramp])
        with torch.autocast("cpu", torch.bfloat16):
            mixed = attention(queries, references, [ramp, ramp])
    assert torch.allclose(full, mixed.float(), atol=0.01)


def test_heads_must_divide_the_width():
    with pytest.raises(ValueError, match=r"embed_dim=30 is not divisible by num_heads=4"):
        DeformableAttention(30, 4, 1, 1)
