"""The box detector's right mode: any image, any company, any number of objects."""

import copy
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from models.boxes.corrections import Corrections, for_published_weights, published
from models.boxes.criterion import BoxCriterion
from models.boxes.decoder import Stage
from models.boxes.detections import Detections, detect
from models.boxes.outputs import BoxOutputs
from models.boxes.projection import anchors
from models.boxes.pyramid import Pyramid, tokens
from models.boxes.salience_loss import RANGES, salience_targets
from tests.support.small_boxes import CLASSES, noise, objects, on_one_canvas, small_boxes


def close(one: Detections, other: Detections, tolerance: float) -> bool:
    """Same boxes, scores and labels; boxes in pixels."""
    return (
        torch.equal(one.labels, other.labels)
        and float((one.scores - other.scores).abs().max()) < tolerance
        and float((one.boxes - other.boxes).abs().max()) < 100 * tolerance
    )


def found(model, *images, extra: int = 0) -> list[Detections]:
    """The detections of each image, all on one canvas."""
    canvas, sizes = on_one_canvas(*images, extra=extra)
    with torch.no_grad():
        final = model(canvas, sizes=sizes).final
    return [
        Detections(boxes[None], scores[None], labels[None])
        for boxes, scores, labels in zip(final.boxes, final.scores, final.labels, strict=True)
    ]


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-6), (torch.float32, 1e-4)])
@pytest.mark.parametrize(
    "corrections", [Corrections(), for_published_weights()], ids=["right", "old weights"]
)
def test_batch_mates_and_padding_change_nothing(corrections, dtype, tolerance):
    model = small_boxes(corrections).eval().to(dtype)
    image, larger, smaller = (
        noise(1, *size, seed=number).to(dtype) for number, size in enumerate(((90, 75), (150, 130), (20, 33)))
    )
    (alone,) = found(model, image)
    assert close(alone, found(model, image, larger)[0], tolerance)
    assert close(alone, found(model, smaller, larger, image)[2], tolerance)
    assert close(alone, found(model, image, extra=32)[0], tolerance)
    assert close(alone, found(model, image, extra=160)[0], tolerance)


def test_the_published_computation_does_depend_on_batch_mates():
    """Or the test above could not fail."""
    model = small_boxes(published()).eval().double()
    image, larger = noise(1, 90, 75).double(), noise(1, 150, 130, seed=1).double()
    assert not close(found(model, image)[0], found(model, image, larger)[0], 1e-6)


def test_both_modes_agree_on_an_image_without_padding():
    one, other = small_boxes(published(), clip=False), small_boxes(for_published_weights(), clip=False)
    other.load_state_dict(one.state_dict())
    images = noise(1, 1, 128, 192).double()
    with torch.no_grad():
        first, second = (model.eval().double()(images).final for model in (one, other))
    assert close(first, second, 1e-9)


def test_a_size_that_32_does_not_divide_is_padded():
    model = small_boxes().eval().double()
    image = noise(1, 1, 75, 90).double()
    canvas, sizes = on_one_canvas(image[0])
    with torch.no_grad():
        assert close(model(image).final, model(canvas, sizes=sizes).final, 1e-9)


@pytest.mark.parametrize("size", [(1, 1), (32, 32), (7, 300), (33, 31)])
def test_any_size_and_more_queries_than_cells(size):
    model = small_boxes(num_queries=50).eval()
    with torch.no_grad():
        outputs = model(noise(1, 1, *size))
    final = outputs.final
    assert torch.isfinite(final.boxes).all() and torch.isfinite(final.scores).all()
    assert (final.scores.diff(dim=1) <= 0).all() and final.scores[0, 0] > 0
    limits = final.boxes.new_tensor([size[1], size[0], size[1], size[0]])
    assert (final.boxes >= 0).all() and (final.boxes <= limits).all()  # clipped


@pytest.mark.parametrize("counts", [(2, 1), (3, 0), (0, 0)])
@pytest.mark.parametrize("mode", [Corrections, published])
def test_training_has_finite_losses_and_every_parameter_a_gradient(counts, mode):
    model, criterion = small_boxes(mode()), BoxCriterion()
    canvas, sizes = on_one_canvas(noise(1, 96, 128), noise(1, 70, 100, seed=1))
    targets = objects(*counts, sizes=sizes)
    outputs = model(canvas, targets)
    report = criterion(outputs, targets, 0.0)
    assert torch.isfinite(report.total) and report.total > 0
    report.total.backward()
    without = {
        name for name, p in model.named_parameters() if p.grad is None or not torch.isfinite(p.grad).all()
    }
    assert without == set()
    if any(counts):
        still = {name for name, p in model.named_parameters() if not p.grad.any()}
        # a gate of two units may have both of them at rest, and a softmax does not see the bias of its scores
        assert {name for name in still if ".gate." not in name} == set()


@pytest.mark.parametrize("size", [(128, 192), (64, 64)])
def test_the_second_neck_learns_of_one_image_what_it_learns_of_two_alike(size):
    """Torch's own BatchNorm is wrong on a CPU for a batch of one, and refuses a map of one cell."""
    neck = small_boxes().second_neck.double()
    shapes = [(size[0] // stride, size[1] // stride) for stride in (8, 16, 32, 64)]
    levels = [noise(1, 32, *shape, seed=number).double() for number, shape in enumerate(shapes)]
    gradients = []
    for count in (1, 2):
        neck.zero_grad()
        features = tokens(neck([level.expand(count, -1, -1, -1) for level in levels], None))
        (features * noise(*features.shape[1:]).double()).sum().div(count).backward()
        gradients.append([p.grad.clone() for p in neck.parameters() if p.grad is not None])
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-9)


def test_objects_of_a_batch_mate_change_no_loss_of_an_image():
    """The losses of two images alone add up to those of both together, draws and mates apart."""
    model, criterion = small_boxes().eval().double(), BoxCriterion(salience_weight=0.0)
    images = [noise(1, 96, 128, seed=number).double() for number in (1, 2)]

    def sums(outputs: BoxOutputs, targets) -> torch.Tensor:
        parts = criterion(outputs, targets, 0.0).parts
        kept = [value for name, value in parts.items() if "_dn" not in name]
        return torch.stack(kept) * max(targets.num_objects, 1)

    both, sizes = on_one_canvas(*images)
    together = objects(2, 3, sizes=sizes)
    alone = [
        type(together)(together.boxes[i : i + 1], together.labels[i : i + 1], sizes[i : i + 1])
        for i in (0, 1)
    ]
    with torch.no_grad():
        joint = sums(model(both, sizes=sizes), together)
        single = sum(sums(model(both[i : i + 1], sizes=sizes[i : i + 1]), alone[i]) for i in (0, 1))
    torch.testing.assert_close(joint, single)


def test_permuted_images_give_permuted_detections():
    model = small_boxes().eval().double()
    images = [noise(1, *size, seed=size[0]).double() for size in ((96, 64), (64, 96), (40, 50))]
    first, second = found(model, *images), found(model, *images[::-1])
    for one, other in zip(first, second[::-1], strict=True):
        assert close(one, other, 1e-9)


def test_a_grey_image_is_three_equal_colours():
    model = small_boxes(rgb=True).eval()
    grey = noise(1, 1, 64, 96)
    with torch.no_grad():
        assert close(model(grey).final, model(grey.expand(-1, 3, -1, -1)).final, 1e-6)


def test_an_unknown_label_is_refused_with_its_image():
    sizes = torch.tensor([[96, 64]] * 2)
    targets = objects(1, 2, sizes=sizes)
    wrong = type(targets)(targets.boxes, (targets.labels[0], torch.tensor([0, CLASSES])), sizes)
    with pytest.raises(ValueError, match=r"image 1 of the batch: label 3, expected 0 to 2"):
        small_boxes()(noise(2, 1, 64, 96), wrong)


def test_real_five_levels():
    model = small_boxes(num_maps=4, extra_levels=1, level_ratios=(0.2, 0.4, 0.8, 1.0, 1.0)).eval()
    with torch.no_grad():
        outputs = model(noise(1, 1, 96, 128))
    assert [tuple(s.shape[1:]) for s in outputs.salience] == [(24, 32), (12, 16), (6, 8), (3, 4), (2, 2)]


def test_ratios_come_with_the_weights():
    one, other = small_boxes(), small_boxes(layer_ratios=(0.5, 0.25))
    one.load_state_dict(other.state_dict())
    assert one.ratios.layers == (0.5, 0.25)
    assert one.ratios.levels == pytest.approx((0.4, 0.8, 1.0, 1.0))


def test_a_copy_masks_its_own_padding():
    """The average of the weights is a copy: hooks of the original must not be asked for its sizes."""
    model = small_boxes().eval().double()
    twin = copy.deepcopy(model)
    small, large = noise(1, 40, 50).double(), noise(1, 90, 120, seed=2).double()
    (alone,) = found(twin, small)
    found(model, large)
    assert close(alone, found(twin, small, large)[0], 1e-9)


def test_detections_by_hand():
    """Three queries, two classes, an image of 100 x 200 pixels; the second query is half of the first."""
    logits = torch.tensor([[[2.0, -3.0], [1.0, -4.0], [-1.0, 0.5]]])
    boxes = torch.tensor([[[0.5, 0.5, 0.4, 0.2], [0.5, 0.5, 0.4, 0.1], [0.9, 0.5, 0.4, 0.2]]])
    sizes, options = torch.tensor([[100, 200]]), {"count": 4, "clip": True, "nms_overlap": None}
    final = detect(Stage(logits, boxes), None, sizes, **options)
    assert final.labels.tolist() == [[0, 0, 1, 0]]
    assert torch.allclose(final.scores, torch.tensor([[2.0, 1.0, 0.5, -1.0]]).sigmoid())
    assert final.boxes[0, 0].tolist() == pytest.approx([30, 80, 70, 120])
    assert final.boxes[0, 2].tolist() == pytest.approx([70, 80, 100, 120])  # clipped at the right border
    real = torch.tensor([[False, True, True]])
    assert detect(Stage(logits, boxes), real, sizes, **options).labels.tolist() == [[0, 1, 0, 1]]
    thinned = detect(Stage(logits, boxes), None, sizes, **(options | {"nms_overlap": 0.4}))
    assert (thinned.scores > 0).tolist() == [[True, True, True, False]]
    assert thinned.labels.tolist()[0][:3] == [0, 1, 0]  # the half as high box of class 0 is gone


def test_anchors_of_six_levels_can_all_move():
    sides = (32, 16, 8, 4, 2, 1)
    counts = torch.tensor([[[side, side] for side in sides]], dtype=torch.float32)
    pyramid = Pyramid(tuple((side, side) for side in sides), counts, whole=True)
    logits, used = anchors(pyramid, border_cells=True)
    assert used.all() and logits.isfinite().all()
    largest = logits.sigmoid()[0, :, 2]
    assert largest[[0, -1]].tolist() == pytest.approx([0.05, 0.95])


def test_what_salience_learns_does_not_depend_on_the_canvas():
    """96 pixels hold one and a half cells of the coarsest level; as published, these lie by the canvas."""
    model, wanted = small_boxes().double(), {True: [], False: []}
    for extra in (0, 32):
        canvas, sizes = on_one_canvas(noise(1, 96, 96).double(), extra=extra)
        targets = objects(3, sizes=sizes)
        outputs = model(canvas, targets)
        for padding_counts, found in wanted.items():
            maps = salience_targets(outputs, targets, [(-1.0, 999.0)] * 4, padding_counts=padding_counts)
            sides = [-(-96 // stride) for stride in (8, 16, 32, 64)]
            found.append([m[0, :side, :side] for m, side in zip(maps, sides, strict=True)])
    assert all(torch.equal(*pair) for pair in zip(*wanted[False], strict=True))
    assert sum(float(m.sum()) for m in wanted[False][0]) > 0
    assert not all(torch.equal(*pair) for pair in zip(*wanted[True], strict=True))


def test_every_level_needs_a_range_of_sizes():
    outputs: Any = SimpleNamespace(pyramid=SimpleNamespace(shapes=((4, 4),) * 5))
    with pytest.raises(ValueError, match="salience_ranges has 4 pairs, expected 5, one a level"):
        salience_targets(outputs, objects(1, sizes=torch.tensor([[32, 32]])), RANGES, padding_counts=False)
