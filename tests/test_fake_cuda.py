"""Forward and loss of every model with its tensors on a GPU that is not there."""

from pathlib import Path

import pytest
import torch
from torch import nn

from models.landmarks.prediction import Targets
from tests.support.fake_cuda import CUDA, fake_cuda, moved
from util.config import instantiate, load_config

ROOT = Path(__file__).resolve().parents[1]
_BASELINES = sorted((ROOT / "configs/experiments/baselines").glob("*.py"))
_DETR = sorted((ROOT / "configs/models").glob("landmark_detr_*.py"))
_LANDMARKS = 5


def batch_of(count: int, size: tuple[int, int]) -> tuple[torch.Tensor, Targets]:
    """Fake images and targets on the GPU."""
    points = torch.empty(count, _LANDMARKS, 2, device=CUDA)
    present = torch.ones(count, _LANDMARKS, dtype=torch.bool, device=CUDA)
    targets = Targets(points, present, torch.empty(count, 2, device=CUDA))
    return torch.empty(count, 1, *size, device=CUDA), targets


@pytest.mark.parametrize("file", [*_BASELINES, *_DETR], ids=lambda file: file.stem)
def test_forward_and_loss_stay_on_the_gpu(file):
    """Training in fp16 and evaluation in fp32. A tensor of the CPU in between is an error."""
    described = load_config(file)
    criterion = described.get("criterion") or load_config(ROOT / "configs/train_config.py").criterion
    model = instantiate(described.model, num_landmarks=_LANDMARKS)
    loss = instantiate(criterion)
    with fake_cuda(torch.float16):
        moved(model), moved(loss)
        images, targets = batch_of(2, tuple(described["size"]))
        outputs = model.train()(images, targets)
        torch.set_autocast_enabled("cuda", False)  # as the trainer's has ended: losses are float32
        report = loss(outputs, targets, 0.9)
        assert report.total.device == CUDA and report.total.dtype == torch.float32
        assert all(part.device == CUDA for part in report.parts.values())
    with fake_cuda():
        images, _ = batch_of(1, tuple(described["size"]))
        final = moved(model).eval()(images).final
        assert final.points.device == final.log_scale.device == CUDA
        assert final.points.dtype == torch.float32


class Misplaced(nn.Module):
    """Adds a tensor that nobody moves."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images + torch.arange(images.shape[-1])


def test_what_these_tests_look_for_is_found():
    layer = nn.Conv2d(1, 1, 1)
    with fake_cuda(torch.float16):
        images, _ = batch_of(1, (4, 4))
        assert moved(layer)(images).dtype == torch.float16
        assert Misplaced()(images.cpu()).device.type == "cpu"
        with pytest.raises(RuntimeError, match="device"):
            Misplaced()(images)
