"""torchvision's Faster R-CNN behind the detector's interface."""

from argparse import Namespace

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from torchvision.ops import box_iou

from datasets.files.image_files import SourceImage
from models.backbone import TimmBackbone
from models.boxes.baselines.faster_rcnn import FasterRcnn, FasterRcnnCriterion
from models.boxes.geometry import centred
from models.boxes.targets import BoxTargets
from models.normalisation import FixedScale
from tasks.boxes import BoxTask
from util.checkpoints.checkpoint import LoadedModel
from util.config import instantiate, load_config
from util.inspection.boxes.model_pictures import pictures_of

SQUARE, SIZE = (20.0, 28.0, 44.0, 52.0), (64, 80)  # left, top, right, bottom; width, height of the image


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return FasterRcnn(
        num_classes=3,
        backbone=TimmBackbone("resnet10t"),
        embed_dim=32,
        anchor_sizes=[8, 16, 32, 64, 128],
        objects_sampled=32,
        normalise=FixedScale(),
    )


def batch(count):
    """``count`` images with a bright square, and one without, in the corner of a canvas of 96 x 96."""
    images = torch.zeros(count + 1, 1, 96, 96)
    images[:count, :, int(SQUARE[1]) : int(SQUARE[3]), int(SQUARE[0]) : int(SQUARE[2])] = 1.0
    sizes = torch.tensor([SIZE] * (count + 1))
    box = centred(torch.tensor([SQUARE]) / torch.tensor(SIZE * 2))
    boxes = (*[box] * count, torch.zeros(0, 4))
    labels = (*[torch.tensor([2])] * count, torch.zeros(0, dtype=torch.int64))
    return images, BoxTargets(boxes, labels, sizes)


@pytest.mark.slow
def test_it_learns_to_find_a_square_and_nothing_beyond_the_image(model):
    images, targets = batch(1)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    model.train()
    for _ in range(110):
        outputs = model(images, targets)
        report = FasterRcnnCriterion()(outputs, targets, 0.0)
        assert torch.allclose(report.total, torch.stack(list(report.parts.values())).sum())
        optimizer.zero_grad()
        report.total.backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        final = model(images, sizes=targets.sizes).final
    assert final.labels[:1, 0].tolist() == [2] and (final.scores[:1, 0] > 0.5).all()
    assert box_iou(final.boxes[:1, 0], torch.tensor([SQUARE])).min() > 0.6
    assert final.scores[1].max() < 0.5
    assert final.boxes[..., 0::2].max() <= SIZE[0] and final.boxes[..., 1::2].max() <= SIZE[1]
    found = final.scores > 0
    assert (final.scores.diff() <= 0).all() and not final.boxes[~found].any()


def test_an_unknown_class_is_refused(model):
    images, targets = batch(1)
    with pytest.raises(ValueError, match="label 3, expected 0 to 2"):
        model(images, BoxTargets(targets.boxes, (torch.tensor([3]), targets.labels[1]), targets.sizes))


def test_it_is_not_exported_and_has_no_inside_to_look_at(model, tmp_path, monkeypatch):
    task = BoxTask()
    loaded = LoadedModel(model, task, task.example_meaning(3), OmegaConf.create(), {}, tmp_path / "best.pt")
    monkeypatch.setattr("util.export.boxes.export.load_described", lambda *_: loaded)
    with pytest.raises(ValueError, match=r"best\.pt: a FasterRcnn, expected a SalienceDetr"):
        task.exported(Namespace(checkpoint=loaded.file, model_config=None, size=None), print)
    grey = SourceImage(np.zeros((8, 8), np.uint8), np.full(2, np.nan), tmp_path / "a.png", None)
    with pytest.raises(ValueError, match=r"best\.pt: a FasterRcnn, expected a SalienceDetr"):
        next(pictures_of(loaded, grey, 3, print))


def test_the_config_is_of_this_model():
    config = load_config("configs/boxes/baselines/faster_rcnn_resnet18.py", [])
    assert isinstance(instantiate(config.criterion), FasterRcnnCriterion)
    assert instantiate(config.model, num_classes=5).num_classes == 5
