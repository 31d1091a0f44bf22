"""The box detector with its tensors on a GPU that is not there: none that it makes stays on the CPU."""

from typing import Any

import pytest
import torch

from models.boxes.baselines.faster_rcnn import FasterRcnn, FasterRcnnCriterion
from models.boxes.corrections import published
from models.boxes.criterion import BoxCriterion
from models.boxes.refinement import BoxRefinement
from models.boxes.targets import BoxTargets
from tests.support.claimed_cuda import CUDA, ClaimedTensor, claimed, claimed_cuda
from tests.support.small_boxes import noise, objects, on_one_canvas, small_boxes
from util.inspection.boxes.box_views import look_inside


def all_of_it():
    """Every option of the small detectors."""
    return small_boxes(dense_proposals=True, nms_overlap=0.7, refinement=BoxRefinement(embed_dim=32))


def as_published():
    return small_boxes(published(), clip=False)


def baseline():
    backbone = small_boxes().backbone
    return FasterRcnn(num_classes=3, backbone=backbone, embed_dim=16, normalise=small_boxes().normalise)


MODELS = {
    "right": (all_of_it, BoxCriterion),
    "published": (as_published, lambda: BoxCriterion(padding_counts=True)),
    "faster_rcnn": (baseline, FasterRcnnCriterion),
}


@pytest.mark.parametrize("name", MODELS)
def test_forward_loss_and_detections_stay_on_the_gpu(name):
    make, criterion = MODELS[name]
    model: Any = claimed(make())
    loss: Any = claimed(criterion())
    canvas, sizes = on_one_canvas(noise(1, 96, 128), noise(1, 70, 100, seed=1))
    truth = objects(2, 1, sizes=sizes)
    with claimed_cuda():
        boxes, labels = (tuple(map(ClaimedTensor, part)) for part in (truth.boxes, truth.labels))
        targets = BoxTargets(boxes, labels, ClaimedTensor(sizes))
        report = loss(model.train()(ClaimedTensor(canvas), targets), targets, 0.5)
        assert report.total.device == CUDA and report.total.isfinite()
        assert all(part.device == CUDA for part in report.parts.values())
        with torch.no_grad():
            final = model.eval()(ClaimedTensor(canvas), sizes=ClaimedTensor(sizes)).final
    assert final.boxes.device == final.scores.device == final.labels.device == CUDA


@pytest.mark.parametrize("make", [small_boxes, as_published])
def test_a_look_inside_stays_on_the_gpu_until_it_is_numbers(make):
    model: Any = claimed(make().eval())
    look: Any = look_inside
    with claimed_cuda(), torch.no_grad():  # not in inference mode, which these tensors do not know
        views = look.__wrapped__(model, ClaimedTensor(noise(1, 1, 64, 96)), ClaimedTensor(SIZES), 4)
    assert len(views.layers) == 3 and len(views.layers[0].boxes) == 4


SIZES = torch.tensor([[96, 64]])


def test_what_these_tests_look_for_is_found():
    with claimed_cuda():
        one = ClaimedTensor(torch.ones(3))
        assert (one + torch.ones((), device="cpu")).device == CUDA  # a number may come from anywhere
        assert one[torch.tensor([1])].device == CUDA and one.cpu().device.type == "cpu"
        with pytest.raises(RuntimeError, match="another device"):
            _ = one + torch.ones(3)
        with pytest.raises(RuntimeError, match="another device"):
            _ = torch.arange(3)[one.argsort()]
