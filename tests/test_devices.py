"""Devices in front of the patient: they only brighten, at the places where they lie."""

import numpy as np
import pytest

from transforms.augment import TrainTransforms
from transforms.devices import covered, rod, with_devices
from transforms.intensity import Intensity
from transforms.sample import Sample


@pytest.mark.parametrize("shape", [(120, 90), (120, 90, 3)])
def test_devices_absorb(shape):
    image = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    before = image.copy()
    drawn = [with_devices(image, np.random.default_rng(seed)) for seed in range(40)]
    assert (image == before).all()
    assert all(shown.shape == shape and shown.dtype == np.uint8 for shown in drawn)
    assert all((shown >= image).all() for shown in drawn)
    assert all((shown > image).any() and (shown == image).any() for shown in drawn)
    assert len({shown.tobytes() for shown in drawn}) == 40


def test_a_rod_is_thickest_along_its_middle_and_its_pad_lies_across_its_end():
    layer = np.zeros((200, 200), np.uint8)
    rod(layer, np.array([100.0, 0.0]), np.array([100.0, 120.0]), width=0.05, pad=0.3)
    assert layer[60, 100] > layer[60, 96] > layer[60, 90] == 0
    assert layer[120, 75] == layer[120, 125] == 255
    assert not layer[130:].any()


def test_nothing_shines_through_what_absorbs_all():
    image, layer = np.full((20, 20), 40, np.uint8), np.zeros((20, 20), np.uint8)
    layer[5:15, 5:15] = 255
    assert covered(image, layer, 1.0)[10, 10] == 255
    assert covered(image, layer, 0.5)[10, 10] == 148  # half of what the air behind lets through, rounded
    assert covered(image, layer, 0.5)[0, 0] == 40


@pytest.mark.parametrize("name", ["artefacts", "devices", "flip"])
def test_probabilities_are_probabilities(name):
    with pytest.raises(ValueError, match=rf"train_transforms\.{name}=1\.5: expected a probability"):
        TrainTransforms((64, 64), **{name: 1.5})


def test_devices_are_drawn_as_often_as_asked():
    image = np.random.default_rng(0).integers(40, 200, (64, 64)).astype(np.uint8)
    sample = Sample(image=image, spacing=np.ones(2), to_source=np.eye(3), case="noise")
    still = {"zoom": (1.0, 1.0), "rotation": 0.0, "shift": 0.0, "artefacts": 0.0, "intensity": Intensity(0.0)}

    def shown(devices):
        transforms = TrainTransforms((64, 64), devices=devices, **still)
        return [transforms(sample, np.random.default_rng(seed)).image.tobytes() for seed in range(60)]

    plain = shown(0.0)
    assert len(set(plain)) == 1
    assert shown(1.0).count(plain[0]) == 0
    assert 10 <= shown(0.5).count(plain[0]) <= 50
