"""Float32 where it is promised: no operator that a GPU may round to TF32 on its way to coordinates."""

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from models.landmarks.heatmap import HeatmapHead
from models.precision import PointwiseConv2d


class Operators(TorchDispatchMode):
    """Names of the operators that run inside the ``with`` block."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.names.add(func.name().removeprefix("aten::"))
        return func(*args, **(kwargs or {}))


def test_heatmaps_come_of_a_matrix_product_and_no_convolution():
    head = HeatmapHead(8, 5)
    assert {name: tuple(t.shape) for name, t in head.state_dict().items()} == {
        "classify.weight": (5, 8, 1, 1)
    }
    with Operators() as operators:
        head(torch.rand(2, 8, 6, 4, requires_grad=True)).sum().backward()
    assert not any("conv" in name for name in operators.names)
    assert any("mm" in name for name in operators.names)


@pytest.mark.parametrize("bias", [True, False])
def test_pointwise_convolution_is_the_convolution(bias):
    torch.manual_seed(0)
    ours, theirs = PointwiseConv2d(8, 5, bias=bias), nn.Conv2d(8, 5, 1, bias=bias)
    theirs.load_state_dict(ours.state_dict())
    maps = torch.randn(3, 8, 6, 4)
    torch.testing.assert_close(ours(maps), theirs(maps))
