"""A look into a detector: what is shown is what it computes, and the look changes nothing."""

import numpy as np
import pytest
import torch

from tests.support.small_boxes import noise, on_one_canvas, small_boxes
from util.inspection.boxes.box_views import gradient_maps, look_inside


@pytest.fixture(scope="module")
def model():
    return small_boxes().eval()


@pytest.fixture(scope="module")
def image():
    """One 90 x 60 image on its canvas, and its size."""
    return on_one_canvas(noise(1, 60, 90))


def test_the_last_layer_shown_is_what_users_see(model, image):
    images, sizes = image
    views = look_inside(model, images, sizes, 5)
    with torch.no_grad():
        final = model(images, sizes=sizes).final
    assert len(views.layers) == 3 and all(len(layer.boxes) == 5 for layer in views.layers)  # 2 decoder layers
    assert views.layers[-1].scores[0] == pytest.approx(float(final.scores[0, 0]))
    width, height = sizes[0].tolist()
    clipped = views.layers[-1].boxes[0].clip(0, [width, height, width, height])
    assert clipped == pytest.approx(final.boxes[0, 0].numpy(), abs=1e-3)
    assert views.detections.boxes == pytest.approx(final.boxes[0].numpy(), abs=1e-5)
    assert (np.diff(views.proposals.scores) <= 0).all() and len(views.proposals.scores) == 20


def test_maps_are_cut_to_the_image_and_count_the_layers(model, image):
    images, sizes = image
    views = look_inside(model, images, sizes, 5)
    assert [m.shape for m in views.salience] == [(8, 12), (4, 6), (2, 3), (1, 2)]
    assert [m.shape for m in views.updates] == [m.shape for m in views.salience]
    assert views.updates[-1].min() >= 1  # all of the coarsest level is worked on
    shares = np.concatenate([m.ravel() for m in views.updates])
    assert set(shares) == {0, 1, 2}  # the second layer works on half of what the first one does
    assert (shares == 2).sum() < (shares >= 1).sum() < len(shares)


def test_gradients_speak_for_the_best_queries(model, image):
    images, sizes = image
    views = look_inside(model, images, sizes, 3)
    found = gradient_maps(model, images, sizes, 3)
    assert [one.label for one in found] == views.layers[-1].labels.tolist()
    assert [one.score for one in found] == pytest.approx(views.layers[-1].scores.tolist(), abs=1e-5)
    for one in found:
        assert len(one.maps) == 3 and all((m >= 0).all() for m in one.maps) and any(m.any() for m in one.maps)


def test_a_look_leaves_the_detector_as_it_was(model, image):
    images, sizes = image
    before = model.corrections
    with torch.no_grad():
        expected = model(images, sizes=sizes)
        look_inside(model, images, sizes, 2)
        again = model(images, sizes=sizes)
    assert model.corrections is before and len(again.stages) == len(expected.stages) == 1
    assert torch.equal(again.final.boxes, expected.final.boxes)
