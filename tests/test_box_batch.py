"""What a batch of images with boxes must hold."""

import numpy as np
import pytest
import torch

from datasets.boxes.batch import collate_boxes
from datasets.boxes.class_set import BoxClasses
from datasets.boxes.geometry import areas
from datasets.boxes.sample import BoxSample

ONE_CLASS = BoxClasses(("thing",), (1,))


def box_sample(width, height, boxes=(), *, colour=False, case="a", classes=ONE_CLASS):
    """An image of a gradient with ``boxes``, class 0 each, the last one ignored."""
    rng = np.random.default_rng(width * height)
    shape = (height, width, 3) if colour else (height, width)
    boxes = np.array(boxes, np.float64).reshape(-1, 4)
    return BoxSample(
        image=rng.integers(0, 256, shape, np.uint8),
        spacing=np.full(2, np.nan),
        to_source=np.eye(3),
        case=case,
        classes=classes,
        boxes=boxes,
        labels=np.zeros(len(boxes), np.int64),
        ignored=np.arange(len(boxes)) == len(boxes) - 1,
        source_boxes=boxes,
        areas=areas(boxes),
        source_size=(width, height),
    )


@pytest.mark.parametrize("colour", [False, True])
def test_images_lie_in_the_corner_and_the_rest_is_black(colour):
    small = box_sample(40, 33, [(1, 2, 3, 4), (5, 6, 40, 33)], colour=colour)
    large = box_sample(65, 20, colour=colour)
    batch = collate_boxes([small, large]).to("cpu")
    assert batch.images.shape == (2, 3 if colour else 1, 64, 96)
    assert batch.sizes.tolist() == [[40, 33], [65, 20]]
    for image, sample in zip(batch.images, (small, large), strict=True):
        expected = torch.from_numpy(sample.image.reshape(*sample.image.shape[:2], -1)).movedim(-1, 0) / 255
        torch.testing.assert_close(image[:, : sample.size[1], : sample.size[0]], expected)
        assert image.sum() == pytest.approx(float(expected.sum()))
    assert batch.targets[0]["boxes"].tolist() == [[1, 2, 3, 4], [5, 6, 40, 33]]
    assert batch.targets[0]["ignored"].tolist() == [False, True]
    assert batch.targets[1]["boxes"].shape == (0, 4)
    assert batch.targets[1]["labels"].dtype == torch.int64
    assert batch.targets[0]["source_boxes"].dtype == torch.float64
    assert batch.targets[0]["areas"].tolist() == [4, 35 * 27]
    assert batch.source_sizes.tolist() == [[40, 33], [65, 20]]


def test_a_fixed_canvas_is_not_padded():
    batch = collate_boxes([box_sample(64, 32), box_sample(64, 32)])
    assert batch.images.shape == (2, 1, 32, 64)


def test_grey_and_colour_do_not_mix():
    with pytest.raises(ValueError, match="grey and colour"):
        collate_boxes([box_sample(32, 32), box_sample(32, 32, colour=True)])


def test_targets_move_with_the_batch():
    batch = collate_boxes([box_sample(32, 32, [(0, 0, 8, 8)])]).to("meta")
    assert len(batch) == 1
    assert all(values.device.type == "meta" for values in batch.targets[0].values())
    assert batch.images.device.type == batch.sizes.device.type == "meta"
