"""Tokens that stand for objects: each object has some, near it, and none of the padding."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.boxes.dense import dense_matches
from models.boxes.projection import anchors
from models.boxes.pyramid import Pyramid, touched_cells
from models.boxes.targets import BoxTargets

SHAPES = [(16, 16), (8, 8), (4, 4)]


def pyramid_of(*sizes: tuple[int, int]) -> Pyramid:
    """Of images of these widths and heights on a canvas of 128 x 128 pixels."""
    counts = touched_cells(SHAPES, torch.tensor(sizes), (8, 16, 32), torch.float64)
    return Pyramid(tuple(SHAPES), counts, whole=False)


def targets_of(*boxes: torch.Tensor) -> BoxTargets:
    labels = tuple(torch.zeros(len(one), dtype=torch.int64) for one in boxes)
    return BoxTargets(boxes, labels, torch.full((len(boxes), 2), 128))


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), count=st.integers(1, 12))
def test_every_object_has_tokens_and_no_token_two_objects(seed, count):
    draw = torch.Generator().manual_seed(seed)
    centre = 0.1 + 0.8 * torch.rand(count, 2, generator=draw, dtype=torch.float64)
    side = 0.02 + 0.3 * torch.rand(count, 2, generator=draw, dtype=torch.float64)
    pyramid = pyramid_of((128, 128))
    anchor, _ = anchors(pyramid, border_cells=True)
    chosen, place = dense_matches(anchor.sigmoid(), pyramid, targets_of(torch.cat([centre, side], 1)))[0]
    assert len(chosen.unique()) == len(chosen)
    lonely = set(range(count)) - set(place.tolist())
    # an object has none of its own only where better placed ones share all its tokens
    for one in lonely:
        others = (centre - centre[one]).abs().amax(1)
        others[one] = 1.0
        assert others.min() < 0.3
    inside = ((pyramid.centres[0, chosen] - centre[place]).abs() <= side[place] / 2).all(-1)
    assert all((~inside[place == one]).sum() <= 1 for one in range(count))  # the best one, if it lies beside


def test_padding_stands_for_nothing_and_batch_mates_change_nothing():
    box = torch.tensor([[0.9, 0.9, 0.2, 0.2]], dtype=torch.float64)
    alone, beside = pyramid_of((64, 96)), pyramid_of((64, 96), (128, 128))
    (single,) = dense_matches(anchors(alone, border_cells=True)[0].sigmoid(), alone, targets_of(box))
    pair = dense_matches(anchors(beside, border_cells=True)[0].sigmoid(), beside, targets_of(box, box))
    assert not alone.padded[0, single[0]].any()
    assert torch.equal(single[0], pair[0][0])


def test_an_image_without_objects_has_no_tokens():
    pyramid = pyramid_of((128, 128))
    anchor, _ = anchors(pyramid, border_cells=True)
    chosen, place = dense_matches(anchor.sigmoid(), pyramid, targets_of(torch.zeros(0, 4)))[0]
    assert chosen.numel() == place.numel() == 0


@pytest.mark.parametrize(("side", "there", "not_there"), [(0.05, 0, 2), (0.2, 2, 0)])
def test_an_object_is_learned_on_the_levels_whose_anchors_fit_it(side, there, not_there):
    pyramid = pyramid_of((128, 128))
    anchor, _ = anchors(pyramid, border_cells=True)
    box = torch.tensor([[0.53, 0.47, side, side]], dtype=torch.float64)
    chosen, _ = dense_matches(anchor.sigmoid(), pyramid, targets_of(box))[0]
    levels = pyramid.level[chosen].tolist()
    assert there in levels
    assert not_there not in levels
