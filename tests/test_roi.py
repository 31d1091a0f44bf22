"""The ROI stage: what its window sees it can point at, and it cannot leave the window."""

import pytest
import torch
from torch import Tensor

from models.landmarks.decoder import Queries
from models.landmarks.roi import ImageStem, RoiStage
from models.position import cell_centres
from tests.support.small_detr import wake

DIM, HEIGHT, WIDTH = 8, 40, 24
CELLS = torch.tensor([float(WIDTH), float(HEIGHT)])
HALF = 0.1  # of the canvas height: 4 cells


def brightest(channel: int, beta: float, channels: int) -> RoiStage:
    """A stage whose score is ``beta`` times the raw value of one channel, and whose head is silent."""
    stage = RoiStage(DIM, (channels,), HALF, token_dim=channels)
    with torch.no_grad():
        for parameter in stage.parameters():
            parameter.zero_()
        stage.tokens.weight.copy_(torch.eye(channels))
        stage.score.weight[0, channel] = beta
    return stage.eval()


def queries_at(points: Tensor) -> Queries:
    """(K, 2) points in cells -> one image, one group of queries."""
    return Queries(torch.zeros(1, 1, len(points), DIM), (points / CELLS)[None, None])


def coordinates() -> Tensor:
    """(1, 2, HEIGHT, WIDTH) map whose channels hold x and y in cells."""
    return (cell_centres(HEIGHT, WIDTH, CELLS.device) * CELLS).T.reshape(1, 2, HEIGHT, WIDTH)


def test_a_bright_blob_is_found_within_a_fraction_of_a_sample():
    generator = torch.Generator().manual_seed(0)
    blob = torch.tensor([11.3, 18.6])
    density = -(coordinates() - blob[None, :, None, None]).square().sum(1, keepdim=True) / 2
    offsets = (torch.rand(20, 2, generator=generator) - 0.5) * 3.0
    stage = brightest(0, beta=1.0, channels=1)
    with torch.no_grad():
        queries, prediction = stage(queries_at(blob + offsets), [density])
    sample = HALF * HEIGHT * stage.sample_step
    assert ((prediction.points[0, 0] * CELLS - blob).abs() < 0.25 * sample).all()
    assert torch.equal(queries.points, prediction.points)


def test_the_window_is_square_in_pixels_on_a_canvas_that_is_not():
    start = torch.tensor([[12.0, 20.0]])
    for axis in (0, 1):
        for sign in (-1.0, 1.0):
            stage = brightest(axis, beta=100.0 * sign, channels=2)
            with torch.no_grad():
                moved = stage(queries_at(start), [coordinates()])[1].points[0, 0] * CELLS - start
            expected = torch.zeros(1, 2)
            expected[0, axis] = sign * HALF * HEIGHT  # the edge of the window
            assert torch.allclose(moved, expected, atol=1e-3)


def test_a_point_stays_in_its_window_plus_one_sample():
    torch.manual_seed(0)
    stage = RoiStage(DIM, (3, 2), HALF)
    wake(stage, 3.0)
    maps = [torch.randn(2, 3, HEIGHT, WIDTH), torch.randn(2, 2, 2 * HEIGHT, 2 * WIDTH)]
    queries = Queries(torch.randn(2, 2, 50, DIM), torch.rand(2, 2, 50, 2) * 1.2 - 0.1)
    with torch.no_grad():
        points = stage(queries, maps)[1].points
    half = torch.tensor([HALF * HEIGHT / WIDTH, HALF])
    moved = (points - queries.points).abs() / half
    assert moved.max() <= 1.0 + stage.sample_step + 1e-5
    assert moved.max() > 1.0  # the bound is put to the test


def test_maps_of_two_resolutions_are_read_at_the_same_place():
    fine = torch.nn.functional.interpolate(coordinates(), scale_factor=2, mode="bilinear")
    stage = RoiStage(DIM, (2, 2), HALF, token_dim=4)
    with torch.no_grad():
        for parameter in stage.parameters():
            parameter.zero_()
        stage.tokens.weight.copy_(torch.eye(4))
        half = torch.tensor([HALF * HEIGHT / WIDTH, HALF])
        tokens = stage.read(queries_at(torch.tensor([[12.2, 19.7]])), [coordinates(), fine], half)
    assert torch.allclose(tokens[..., :2], tokens[..., 2:], atol=1e-4)
    spread = tokens[0, 0, 0].amax(0) - tokens[0, 0, 0].amin(0)
    assert spread.tolist() == pytest.approx([2 * HALF * HEIGHT] * 4, abs=1e-3)


def test_the_query_decides_what_is_looked_for():
    torch.manual_seed(0)
    stage = RoiStage(DIM, (2,), HALF)
    wake(stage, 0.5)
    for parameter in stage.head.layers[-1].parameters():  # what the query does to the window, not to the head
        torch.nn.init.zeros_(parameter)
    points = torch.full((1, 1, 2, 2), 0.5)
    with torch.no_grad():
        found = stage(Queries(torch.randn(1, 1, 2, DIM), points), [coordinates() / HEIGHT])[1].points
    assert (found[0, 0, 0] - found[0, 0, 1]).abs().max() > 1e-4


def test_the_stem_halves_the_image():
    assert ImageStem(4)(torch.rand(2, 1, 32, 24)).shape == (2, 4, 16, 12)
