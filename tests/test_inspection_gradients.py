"""Gradient-weighted maps are gradients of what they say they are gradients of."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from models.landmarks.baselines.simcc import SimccCodec
from models.landmarks.landmark_detr import LandmarkDetr
from models.landmarks.prediction import Prediction
from tests.support.small_detr import random_images, small_detr, wake
from util.inspection.landmarks.gradients import BINS, PEAK, STEPS, gradient_maps

IMAGE = random_images(1)


@pytest.fixture(scope="module")
def model() -> LandmarkDetr:
    detr = small_detr(5)
    wake(detr, 0.05)
    return detr.eval()


@dataclass(frozen=True)
class Final:
    final: Prediction


class Weighted(nn.Module):
    """Coordinates that are a weighted sum over all features, so that their gradients are the weights."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.backbone = nn.Conv2d(1, 4, 8, stride=8)
        self.weight = nn.Parameter(torch.randn(2, 2, 4, 12, 8))  # K, axis, C, h, w

    def forward(self, images: Tensor) -> Final:
        points = torch.einsum("kachw,bchw->bka", self.weight, self.backbone(images))
        return Final(Prediction(points, points))


def test_gradient_maps_of_a_linear_model_are_its_weights_times_its_features():
    weighted = Weighted().eval()
    (one,) = gradient_maps(weighted, IMAGE, landmark=1)
    with torch.inference_mode():
        features = weighted.backbone(IMAGE)[0]  # (C, h, w)
        pixels = weighted.weight[1] * torch.tensor([64.0, 96.0])[:, None, None, None]  # (axis, C, h, w)
        by_cell = (pixels * features).sum(1).norm(dim=0)
        by_channel = (pixels.mean((-2, -1), keepdim=True) * features).sum(1).norm(dim=0)
    np.testing.assert_allclose(one.cellwise, by_cell.numpy(), rtol=1e-4)
    np.testing.assert_allclose(one.channelwise, by_channel.numpy(), rtol=1e-3, atol=1e-5)
    assert one.score == STEPS


def test_gradient_maps_of_the_landmark_detr(model: LandmarkDetr):
    maps = gradient_maps(model, IMAGE, 0)
    sizes = [(96 // stride, 64 // stride) for stride in (4, 8, 16, 32)]
    assert [(one.score, one.cellwise.shape) for one in maps] == [
        (score, size) for score in (STEPS, PEAK) for size in sizes
    ]
    other = gradient_maps(model, IMAGE, 1)
    assert not np.allclose(maps[0].cellwise, other[0].cellwise)
    assert all(parameter.grad is None for parameter in model.parameters())


def test_the_gradient_is_that_of_the_way_from_start_to_prediction(model: LandmarkDetr):
    """A stage holds the point that it starts from, so the sum of the stages' gradients is the steps'."""
    features = []
    handle = model.neck.merge[0].register_forward_hook(lambda *call: features.append(call[2]))
    outputs = model(IMAGE)
    handle.remove()
    stages = [stage.points[0, 0, 0] for stage in outputs.predictions]
    steps = [after - before.detach() for before, after in pairwise(stages)]
    way = stages[0] + sum(steps)
    (along_x,) = torch.autograd.grad(way * IMAGE.shape[-1], features, retain_graph=True)
    (summed,) = torch.autograd.grad(sum(stages) * IMAGE.shape[-1], features)
    torch.testing.assert_close(along_x, summed)
    (one, _) = gradient_maps(model, IMAGE, 0, part="neck.merge.0")
    assert one.cellwise.shape == along_x.shape[-2:]
    assert (one.cellwise >= (along_x * features[0]).sum(1)[0].abs().detach().numpy() - 1e-6).all()


@dataclass(frozen=True)
class BinOutputs:
    final: Prediction
    x: Tensor
    y: Tensor
    codec: SimccCodec


class Bins(nn.Module):
    """Bins along x and y that a codec decodes without a gradient, as SimCC models do."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(2)
        self.backbone, self.codec = nn.Conv2d(1, 3, 8, stride=8), SimccCodec(bins_per_px=0.5)

    def forward(self, images: Tensor) -> BinOutputs:
        features = self.backbone(images)  # (B, K, h, w)
        x, y = (features.sum(axis).repeat_interleave(4, -1) for axis in (-2, -1))
        return BinOutputs(self.codec.decode(x.detach(), y.detach()), x, y, self.codec)


def test_bins_are_differentiated_where_a_model_has_them():
    (one,) = gradient_maps(Bins().eval(), IMAGE, 2)
    assert one.score == BINS and one.cellwise.shape == (12, 8)


def test_a_misspelt_part_is_named_with_the_nearest(model: LandmarkDetr):
    with pytest.raises(ValueError, match="did you mean 'backbone'"):
        gradient_maps(model, IMAGE, 0, part="bakbone")
    with pytest.raises(ValueError, match="no feature map"):
        gradient_maps(model, IMAGE, 0, part="decoder")
