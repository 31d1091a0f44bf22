"""Sampling by rows gives what sampling by maps gives, and only where no gradient is asked for."""

import pytest
import torch

from models.boxes.deformable import PyramidAttention, gather, sample
from models.boxes.pyramid import Pyramid
from tests.support.small_detr import wake

SHAPES = ((6, 9), (3, 5), (1, 1))


@pytest.fixture
def pyramid() -> Pyramid:
    cells = torch.tensor([(columns, rows) for rows, columns in SHAPES], dtype=torch.float64)
    return Pyramid(SHAPES, cells.expand(2, -1, -1), whole=True)


@pytest.mark.parametrize("span", [0.0, 0.6, 5.0])  # inside, across the borders, far beyond them
def test_rows_give_what_maps_give(pyramid, span):
    torch.manual_seed(0)
    values = torch.randn(2, sum(pyramid.lengths), 8, dtype=torch.float64)
    points = 0.5 + (torch.rand(2, 7, 4, 3, 2, 2, dtype=torch.float64) - 0.5) * (1.0 + span)
    weights = torch.randn(2, 7, 4, 6, dtype=torch.float64).softmax(-1)
    expected = sample(values, points, weights, pyramid)
    assert torch.allclose(gather(values, points, weights, pyramid), expected, atol=1e-12)


def test_gradients_go_through_the_maps(pyramid):
    attention = PyramidAttention(8, 4, 3, 2, gathered=True).double()
    wake(attention)
    values = torch.randn(2, sum(pyramid.lengths), 8, dtype=torch.float64)
    queries = torch.randn(2, 7, 8, dtype=torch.float64, requires_grad=True)
    references = torch.rand(2, 7, 3, 2, dtype=torch.float64)
    with torch.no_grad():
        gathered = attention(queries, references, values, pyramid)
    read = attention(queries, references, values, pyramid)
    read.square().sum().backward()
    assert queries.grad is not None
    assert queries.grad.abs().sum() > 0
    assert torch.allclose(gathered, read, atol=1e-12)
