"""The landmark decoder: query k is landmark k, and groups of queries are blind to each other."""

import pytest
import torch
from torch import Tensor

from models.landmarks.decoder import LandmarkDecoder, PointHead, Queries, StartQueries
from tests.support.small_detr import wake

DIM, K = 32, 6


@pytest.fixture
def decoder() -> LandmarkDecoder:
    torch.manual_seed(0)
    module = LandmarkDecoder(DIM, num_layers=2, num_heads=4, num_levels=2, num_points=2)
    wake(module)
    return module.eval()


@pytest.fixture
def levels() -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(2, DIM, *size, generator=generator) for size in ((8, 6), (4, 3))]


@pytest.fixture
def queries() -> Queries:
    generator = torch.Generator().manual_seed(2)
    content = torch.randn(2, 2, K, DIM, generator=generator)
    return Queries(content, torch.rand(2, 2, K, 2, generator=generator))


def test_groups_do_not_see_each_other(decoder, levels, queries):
    content, points = queries.content.clone(), queries.points.clone()
    content[:, 1], points[:, 1] = 3.0, 0.9
    with torch.no_grad():
        last, stages = decoder(queries, levels)
        other_last, other_stages = decoder(Queries(content, points), levels)
    for one, other in zip(stages, other_stages, strict=True):
        assert torch.allclose(one.points[:, 0], other.points[:, 0], atol=1e-6)
        assert torch.allclose(one.log_scale[:, 0], other.log_scale[:, 0], atol=1e-6)
        assert (one.points[:, 1] - other.points[:, 1]).abs().max() > 0.1
    assert torch.allclose(last.content[:, 0], other_last.content[:, 0], atol=1e-5)


def test_a_group_alone_is_predicted_as_among_others(decoder, levels, queries):
    with torch.no_grad():
        _, among = decoder(queries, levels)
        _, alone = decoder(Queries(queries.content[:, :1], queries.points[:, :1]), levels)
    assert torch.allclose(among[-1].points[:, :1], alone[-1].points, atol=1e-6)


def test_permuting_the_landmarks_permutes_the_predictions(decoder, levels, queries):
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    with torch.no_grad():
        _, stages = decoder(queries, levels)
        _, permuted = decoder(Queries(queries.content[:, :, order], queries.points[:, :, order]), levels)
    for one, other in zip(stages, permuted, strict=True):
        assert torch.allclose(one.points[:, :, order], other.points, atol=1e-6)
        assert torch.allclose(one.log_scale[:, :, order], other.log_scale, atol=1e-6)


def test_landmarks_of_a_group_do_see_each_other(decoder, levels, queries):
    content = queries.content.clone()
    content[:, 0, 0] += 3.0
    with torch.no_grad():
        _, stages = decoder(queries, levels)
        _, moved = decoder(Queries(content, queries.points), levels)
    assert (stages[-1].points[:, 0, 1:] != moved[-1].points[:, 0, 1:]).any()


def test_every_layer_begins_at_the_point_of_the_last_one_without_its_gradient(decoder, levels, queries):
    last, stages = decoder(queries, levels)
    assert len(stages) == 2 and all(stage.points.shape == (2, 2, K, 2) for stage in stages)
    assert torch.equal(last.points, stages[-1].points) and not last.points.requires_grad
    stages[1].points.sum().backward()
    assert all(parameter.grad is None for parameter in decoder.layers[0].head.parameters())


def test_a_fresh_head_leaves_the_points_where_they_are(levels, queries):
    decoder = LandmarkDecoder(DIM, num_layers=2, num_heads=4, num_levels=2)
    assert all(torch.equal(stage.points, queries.points) for stage in decoder(queries, levels)[1])


def test_one_image_with_two_groups_runs(decoder, levels, queries):
    """As in training with batch_size=1, where the content of a group is expanded, not copied."""
    content = queries.content[:1, :1].expand(-1, 2, -1, -1)
    with torch.no_grad():
        _, stages = decoder(Queries(content, queries.points[:1]), [level[:1] for level in levels])
    assert stages[-1].points.shape == (1, 2, K, 2)


def test_the_log_scale_is_bounded():
    head = PointHead(DIM)
    wake(head, 100.0)
    log_scale = head(torch.randn(50, DIM))[1]
    assert log_scale.min() == -9.0 and log_scale.max() == 0.0


def test_a_start_lies_between_mean_shape_and_peak_as_the_mass_says():
    start = StartQueries(DIM, 2)
    mean_shape, peaks = torch.tensor([[0.2, 0.4], [0.5, 0.5]]), torch.tensor([[[0.6, 0.8], [0.1, 0.3]]])
    queries = start(mean_shape, peaks, torch.tensor([[0.25, 1.0]]))
    assert queries.content.shape == (1, 1, 2, DIM) and queries.points.shape == (1, 1, 2, 2)
    assert torch.allclose(queries.points[0, 0], torch.tensor([[0.3, 0.5], [0.1, 0.3]]))
