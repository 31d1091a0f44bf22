"""The refinement of boxes: nothing at first, then steps in units of the box, for each image by itself."""

import pytest
import torch

from models.boxes.criterion import BoxCriterion
from models.boxes.losses import refinement_loss
from models.boxes.published_refinement import PublishedRefinement
from models.boxes.refinement import BoxRefinement, Refined
from models.boxes.targets import BoxTargets
from tests.support.small_boxes import noise, objects, on_one_canvas, small_boxes


def with_refinement(awake: bool):
    """The small detector with a refinement that is fresh, or has random weights."""
    model = small_boxes(refinement=BoxRefinement(32, num_boxes=8, token_dim=16), clip=False)
    assert model.refinement is not None
    for parameter in model.refinement.mix[-1].parameters():
        torch.nn.init.normal_(parameter, 0.0, 0.5) if awake else torch.nn.init.zeros_(parameter)
    return model.eval()


def test_a_fresh_refinement_changes_nothing():
    model = with_refinement(awake=False)
    with torch.no_grad():
        outputs = model(noise(1, 1, 96, 128))
        refined = outputs.refined
        assert refined is not None
        before = outputs.stages[-1].boxes.gather(1, refined.chosen[..., None].expand(-1, -1, 4))
    torch.testing.assert_close(refined.boxes, before)


def test_the_best_boxes_by_sigmoid_move_and_the_others_stay():
    model = with_refinement(awake=True)
    with torch.no_grad():
        outputs = model(noise(1, 1, 96, 128))
    refined, stage = outputs.refined, outputs.stages[-1]
    assert refined is not None
    best = stage.logits.sigmoid().amax(-1).topk(8).indices
    assert set(refined.chosen[0].tolist()) == set(best[0].tolist())
    before = stage.boxes.gather(1, refined.chosen[..., None].expand(-1, -1, 4))
    steps = (refined.boxes[..., :2] - before[..., :2]) / before[..., 2:]
    assert 0.01 < steps.abs().max() <= 0.5
    assert (refined.boxes[..., 2:] > 0).all()


@pytest.mark.parametrize("size", [(70, 90), (96, 128)])
def test_padding_and_batch_mates_change_no_refined_box(size):
    model = with_refinement(awake=True).double()
    image, larger = noise(1, *size).double(), noise(1, 130, 150, seed=1).double()
    results = []
    for images, extra in (([image], 0), ([image], 64), ([image, larger], 0)):
        canvas, sizes = on_one_canvas(*images, extra=extra)
        with torch.no_grad():
            results.append(model(canvas, sizes=sizes).final.boxes[0])
    torch.testing.assert_close(results[0], results[1], rtol=0, atol=1e-6)
    torch.testing.assert_close(results[0], results[2], rtol=0, atol=1e-6)


@pytest.mark.parametrize("counts", [(3, 2), (0, 0)])
def test_its_loss_warms_up_and_reaches_every_one_of_its_parameters(counts):
    model, criterion = with_refinement(awake=True).train(), BoxCriterion(refinement_warmup=0.5)
    canvas, sizes = on_one_canvas(noise(1, 96, 128), noise(1, 80, 80, seed=1))
    targets = objects(*counts, sizes=sizes)
    outputs = model(canvas, targets)
    parts = {share: criterion(outputs, targets, share).parts["refined"] for share in (0.0, 0.25, 0.5, 1.0)}
    assert parts[0.0] == 0.0 and parts[0.5] == parts[1.0]
    torch.testing.assert_close(2 * parts[0.25], parts[0.5])


def test_it_learns_from_an_overlapping_box_alone():
    """The base boxes get no gradient of it."""
    base = torch.tensor([[[0.5, 0.5, 0.2, 0.2], [0.2, 0.2, 0.1, 0.1]]], requires_grad=True)
    moved = base.detach().clone().requires_grad_()
    targets = BoxTargets(
        (torch.tensor([[0.52, 0.5, 0.2, 0.2], [0.8, 0.8, 0.1, 0.1]]),),
        (torch.tensor([0, 1]),),
        torch.tensor([[100, 100]]),
    )
    matches = [(torch.tensor([0, 1]), torch.tensor([0, 1]))]
    loss = refinement_loss(Refined(torch.tensor([[0, 1]]), moved), base, matches, targets)
    # the first: 0.02 / 0.2 aside, IoU 0.18 / 0.22, hull = union; the second does not overlap its object
    assert loss.item() == pytest.approx(0.1 + 1.0 - 0.18 / 0.22, abs=1e-5)
    loss.backward()
    assert moved.grad is not None and moved.grad[0, 0].any() and not moved.grad[0, 1].any()
    assert base.grad is None or not base.grad.any()


def test_the_published_head_runs_in_the_detector():
    head = PublishedRefinement(32, num_boxes=5)
    model = small_boxes(refinement=head).eval()
    with torch.no_grad():
        outputs = model(noise(1, 1, 64, 96))
    assert outputs.refined is not None and outputs.refined.boxes.shape == (1, 5, 4)
    assert torch.isfinite(outputs.final.boxes).all()
