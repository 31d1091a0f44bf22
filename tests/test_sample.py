"""Pixels, normalised coordinates and source pixels: the one place where they change into each other."""

import numpy as np
import pytest
import torch

from datasets.landmarks.batch import PointBatch, collate
from transforms.augment import EvalTransforms
from transforms.geometry import about, rotate, scale
from transforms.sample import PointSample

SPACING = np.array([0.1, 0.3])


def sample(points, *, size=(200, 150), spacing=SPACING, to_source=None, case="one") -> PointSample:
    """A black image of ``size`` (width, height) with the given landmarks."""
    return PointSample(
        image=np.zeros((size[1], size[0]), np.uint8),
        points=np.asarray(points, np.float64),
        spacing=np.asarray(spacing),
        to_source=np.eye(3) if to_source is None else to_source,
        case=case,
    )


def letterboxed(*samples: PointSample) -> PointBatch:
    transforms = EvalTransforms((96, 64))
    return collate([transforms(one, np.random.default_rng(0)) for one in samples])


def test_source_pixels_come_back_through_padding_and_anisotropic_spacing():
    generator = np.random.default_rng(0)
    wide = generator.uniform(0, 1, (5, 2)) * (200, 150)  # padded above and below
    tall = generator.uniform(0, 1, (5, 2)) * (100, 400)  # padded left and right
    batch = letterboxed(sample(wide), sample(tall, size=(100, 400), case="two"))
    assert np.allclose(batch.to_source_pixels(batch.points), [wide, tall], atol=1e-3)
    assert batch.cases == ("one", "two") and len(batch) == 2
    assert batch.images.shape == (2, 1, 96, 64)
    assert batch.spacing.tolist() == [[0.1, 0.3]] * 2


def test_the_corners_of_a_padded_image_by_hand():
    """200 x 150 on 64 x 96: zoom 0.32, 64 x 48, so 24 rows of padding above: a quarter of the canvas."""
    batch = letterboxed(sample([[0, 0], [200, 150], [100, 75]], spacing=(0.1, 0.1)))
    assert batch.points[0].numpy() == pytest.approx(np.array([[0, 0.25], [1, 0.75], [0.5, 0.5]]), abs=1e-6)


def test_missing_landmarks_stay_missing_and_are_not_present():
    batch = letterboxed(sample([[10, 20], [np.nan, np.nan], [30, 40]]))
    assert batch.present.tolist() == [[True, False, True]]
    assert batch.points[0, 1].isnan().all() and batch.to_source_pixels(batch.points)[0, 1].isnan().all()


def test_grey_values_travel_as_bytes_and_become_zero_to_one_on_the_device():
    """The same bits as a division on the CPU, of every grey value; moved twice, they are divided once."""
    image = np.arange(256, dtype=np.uint8).reshape(16, 16)
    batch = collate(
        [PointSample(image=image, points=np.zeros((1, 2)), spacing=SPACING, to_source=np.eye(3), case="one")]
    )
    assert batch.images.dtype == torch.uint8
    seen = batch.to("cpu").to("cpu").images
    assert seen.dtype == torch.float32
    assert torch.equal(seen[0, 0], torch.from_numpy(image).float() / 255.0)


def test_every_tensor_of_a_batch_is_pinned_when_the_loader_asks(monkeypatch):
    pinned = []
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda tensor: pinned.append(tensor.shape) or tensor)
    batch = letterboxed(sample([[10, 20]]))
    same = batch.pin_memory()
    assert isinstance(same, PointBatch) and same.cases == batch.cases
    assert len(pinned) == 4 and batch.images.shape in pinned and batch.points.shape in pinned


def test_mm_per_unit_by_hand_under_zoom_and_rotation():
    """One canvas pixel is 2.5 source pixels of 0.2 mm, 0.5 mm, so 40 x 20 of them are 20 x 10 mm."""
    for turn in (0.0, 30.0):
        to_source = about(rotate(turn), 20, 10) @ scale(2.5, 2.5)
        batch = collate([sample([[1, 2]], size=(40, 20), spacing=np.full(2, 0.2), to_source=to_source)])
        assert batch.mm_per_unit[0].tolist() == pytest.approx([20.0, 10.0], rel=1e-6)
    oblong = sample([[1, 2]], size=(40, 20), spacing=np.array([0.1, 0.4]), to_source=scale(5.0, 1.25))
    assert collate([oblong]).mm_per_unit[0].tolist() == pytest.approx([20.0, 10.0], rel=1e-6)


def test_every_case_keeps_its_own_way_back():
    ways = {"kept": np.eye(3), "zoomed": scale(3.0, 3.0), "turned": rotate(90)}
    batch = collate([sample([[4, 5]], size=(40, 20), to_source=way, case=name) for name, way in ways.items()])
    expected = np.array([[4, 5], [12, 15], [-5, 4]])
    assert batch.to_source_pixels(batch.points)[:, 0].numpy() == pytest.approx(expected, abs=1e-5)


def test_moving_a_batch_keeps_it_whole():
    batch = letterboxed(sample([[10, 20]]))
    moved = batch.to("meta")
    assert {moved.images.device.type, moved.points.device.type, moved.to_source.device.type} == {"meta"}
    assert moved.cases == batch.cases and moved.spacing.device.type == "meta"


def test_source_points_undo_the_way_here():
    moved = sample([[4, 5], [np.nan, np.nan]], to_source=scale(3.0, 3.0))
    assert moved.size == (200, 150) and moved.source_points[0].tolist() == [12, 15]
    assert np.isnan(moved.source_points[1]).all()


def test_cases_that_do_not_fit_together_are_named():
    small = sample([[1, 2]], size=(40, 20), case="small")
    with pytest.raises(ValueError, match=r"'small', 'large'.*\(40, 20\), \(80, 20\)"):
        collate([small, sample([[1, 2]], size=(80, 20), case="large")])
    with pytest.raises(ValueError, match=r"'small', 'more'.*landmark counts \[1, 2\]"):
        collate([small, sample([[1, 2], [3, 4]], size=(40, 20), case="more")])
