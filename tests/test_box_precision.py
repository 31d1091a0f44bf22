"""Mixed precision: coordinates and losses stay float32."""

import pytest
import torch

from models.boxes.criterion import BoxCriterion
from tests.support.small_boxes import noise, objects, small_boxes


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast_trains_with_float32_boxes(dtype):
    model, criterion = small_boxes(), BoxCriterion()
    sizes = torch.tensor([[96, 64], [80, 60]])
    targets = objects(2, 1, sizes=sizes)
    with torch.autocast("cpu", dtype):
        outputs = model(noise(2, 1, 64, 96), targets)
    report = criterion(outputs, targets, 0.0)
    assert outputs.final.boxes.dtype == outputs.stages[0].boxes.dtype == torch.float32
    assert report.total.dtype == torch.float32 and torch.isfinite(report.total)
    report.total.backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)
