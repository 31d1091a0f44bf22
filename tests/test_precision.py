"""Float32 where it is promised: no operator that a GPU may round to TF32 on its way to coordinates."""

from pathlib import Path

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from datasets.files.image_files import SourceImage
from datasets.landmarks.batch import collate
from datasets.landmarks.meaning import LandmarkMeaning
from datasets.prepared.prepared import PreparedDataset
from models.landmarks.heatmap import HeatmapHead
from models.precision import PointwiseConv2d, exact_inference
from tasks.landmarks import LandmarkTask
from tests.conftest import TINY_SET
from tests.support.mean_shape_model import MeanShapeModel
from transforms.augment import EvalTransforms
from util.checkpoints.checkpoint import LoadedModel
from util.inspection.landmarks.inspect import inspect_model
from util.prediction.landmarks.predict import LandmarkPredictor
from util.training.engine import evaluate


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


def tf32() -> tuple[bool, bool]:
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    return cudnn.allow_tf32, matmul.allow_tf32  # pyright: ignore[reportAttributeAccessIssue]


class Probe(MeanShapeModel):
    """Remembers whether a GPU might have rounded to TF32 while it ran."""

    seen: tuple[bool, bool] | None = None

    def forward(self, images, targets=None):
        self.seen = tf32()
        return super().forward(images, targets)


def test_tf32_is_off_during_inference_and_as_it_was_afterwards():
    before = tf32()
    assert before[0], "PyTorch's default has changed: is exact_inference still needed?"
    with exact_inference():
        assert tf32() == (False, False) and torch.is_inference_mode_enabled()
    assert tf32() == before


def test_tf32_is_off_where_people_get_their_numbers_from():
    probe = Probe(5).eval()
    config = OmegaConf.create(
        {"eval_transforms": {"_target_": "transforms.augment:EvalTransforms", "size": [64, 64]}}
    )
    image = SourceImage(np.zeros((96, 80), np.uint8), np.full(2, 0.5), Path("x.png"), None)
    meaning = LandmarkMeaning(TINY_SET, "synthetic")
    loaded = LoadedModel(probe, LandmarkTask(), meaning, config, {}, Path("best.pt"))
    LandmarkPredictor(loaded)([image])
    assert probe.seen == (False, False)
    probe.seen = None
    inspect_model(probe, torch.zeros(1, 1, 64, 64))
    assert probe.seen == (False, False)


def test_tf32_is_off_during_validation(tiny_prepared):
    probe = Probe(5)
    data = PreparedDataset(tiny_prepared, "val", EvalTransforms((64, 64)))
    evaluate(LandmarkTask(), probe, [collate([data[0]])], "cpu")
    assert probe.seen == (False, False)
