"""Points go to peaks of their heatmaps that lie as a shape does."""

import numpy as np
import pytest
import torch

from models.landmarks.shape_search import ShapeSearch
from tasks.landmarks import LandmarkTask
from tests.support.small_detr import any_modes, random_images, random_targets, small_detr, wake
from transforms import geometry
from transforms.augment import EvalTransforms

HEIGHT, WIDTH, STEP, COUNT = 160, 64, 20.0, 6  # pixels; a column of landmarks that look alike
WINDOW = STEP / 5 / HEIGHT


def column(bend: float = 0.0) -> np.ndarray:
    """(6, 2) from the top down, leaning right in the middle by ``bend`` pixels."""
    rows = np.arange(COUNT)
    return np.stack([WIDTH / 2 + bend * np.sin(np.pi * rows / (COUNT - 1)), 30.0 + STEP * rows], -1)


def lowered(places: np.ndarray, by: float) -> np.ndarray:
    return places + np.array([0.0, by])


def search() -> ShapeSearch:
    """Of columns that bend and do nothing else."""
    found = ShapeSearch(COUNT, WINDOW)
    found.learn(column() / HEIGHT, (column(4.0) - column())[None] / HEIGHT, 0.5 / HEIGHT)
    return found


def heatmaps(*peaks: tuple[np.ndarray, np.ndarray]) -> torch.Tensor:
    """(1, 6, h, w) logits at stride 4: (K, 2) places and how much of each landmark's probability is there."""
    y, x = (np.mgrid[: HEIGHT // 4, : WIDTH // 4] + 0.5) * 4.0
    heat = np.full((COUNT, *x.shape), 1e-9)
    for places, weights in peaks:
        away = (x - places[:, :1, None]) ** 2 + (y - places[:, 1:, None]) ** 2
        heat += weights[:, None, None] * np.exp(-away / (2 * 3.0**2))
    return torch.from_numpy(np.log(heat)).float()[None]


def found_from(start: np.ndarray, logits: torch.Tensor) -> np.ndarray:
    size = np.array([WIDTH, HEIGHT])
    points = torch.from_numpy(start / size).float()[None]
    return search()(points, logits)[0].numpy() * size


def test_where_the_counting_is_in_doubt_all_points_go_by_one_counting():
    """Every second landmark has its higher peak one further down, and the points start between both."""
    truth = column(6.0)
    doubt = np.where(np.arange(COUNT) % 2 == 0, 0.6, 0.4)
    logits = heatmaps((truth, doubt), (lowered(truth, STEP), 1.0 - doubt))
    found = found_from(lowered(truth, 0.45 * STEP), logits)
    np.testing.assert_allclose(found, truth, atol=0.1 * STEP)
    highest = logits[0].flatten(1).argmax(1).numpy() // (WIDTH // 4) * 4.0  # what it is without the shape
    assert np.ptp(highest - truth[:, 1]) > 0.8 * STEP


def test_place_turn_and_size_are_free():
    turn = geometry.about(geometry.rotate(8.0) @ geometry.scale(0.95, 0.95), WIDTH / 2, HEIGHT / 2)
    other = geometry.warp_points(column(), geometry.translate(5.0, -8.0) @ turn)
    found = found_from(lowered(other, 2.0), heatmaps((other, np.ones(COUNT))))
    np.testing.assert_allclose(found, other, atol=0.1)


def test_what_no_shape_does_is_drawn_back():
    """A landmark whose peak lies beside the column ends nearer to the column than to its peak."""
    truth = column()
    there = truth.copy()
    there[3, 0] += 8.0
    found = found_from(truth, heatmaps((there, np.ones(COUNT))))
    assert abs(found[3, 0] - truth[3, 0]) < 4.0


def test_a_heatmap_without_a_peak_in_sight_leaves_its_point_to_the_others():
    truth = column(3.0)
    logits = heatmaps((truth, np.ones(COUNT)))
    logits[0, 2] = -100.0
    logits[0, 2, 0, 0] = 0.0  # far off
    found = found_from(truth, logits)
    np.testing.assert_allclose(found, truth, atol=1.0)


def test_a_batch_changes_nothing():
    logits = torch.cat([heatmaps((column(bend), np.ones(COUNT))) for bend in (-4.0, 0.0, 4.0)])
    points = torch.from_numpy(column() / [WIDTH, HEIGHT]).float().expand(3, -1, -1)
    together = search()(points, logits)
    alone = torch.cat([search()(points[i : i + 1], logits[i : i + 1]) for i in range(3)])
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-6)


def test_a_model_searches_between_decoder_and_windows_but_not_from_the_truth():
    """The first window's centre is the search's; the denoising group stays with what it was taught."""
    plain, searching = small_detr().eval(), small_detr(search_window=0.05).eval()
    for model in (plain, searching):
        wake(model)
    assert searching.search is not None
    searching.search.learn(*any_modes())
    outputs = []
    for model in (plain, searching):
        torch.manual_seed(0)
        with torch.no_grad():
            outputs.append(model(random_images(2), random_targets(2)))
    one, other = outputs
    torch.testing.assert_close(one.predictions[1].points, other.predictions[1].points)  # of the decoder
    assert (one.predictions[2].points - other.predictions[2].points).abs().max() > 1e-3
    torch.testing.assert_close(one.denoised[-1].points, other.denoised[-1].points)


def test_data_that_cannot_tell_how_shapes_vary_are_refused(tiny_prepared):
    task = LandmarkTask()
    data = task.open_data(tiny_prepared, "train", EvalTransforms((64, 64)))
    model = small_detr(len(data.landmark_set), search_window=0.05)
    with pytest.raises(ValueError, match=r"5 landmarks, expected at least 6 .*model\.search_window=null"):
        task.begin(model, data)
