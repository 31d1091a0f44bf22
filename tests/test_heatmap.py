"""Heatmaps: a peak is read back where it was put, and salience is the union of the peaks."""

import pytest
import torch
from torch import Tensor

from models.landmarks.heatmap import read_peaks, salience_levels
from models.position import cell_centres

HEIGHT, WIDTH = 24, 32
CELLS = torch.tensor([WIDTH, HEIGHT])


def gaussian_logits(points: Tensor, sigma: float) -> Tensor:
    """(B, K, 2) points in cells -> (B, K, HEIGHT, WIDTH) log-density of a Gaussian at each."""
    centres = cell_centres(HEIGHT, WIDTH, points.device) * CELLS
    squares = (points[..., None, :] - centres).square().sum(-1)
    return (-squares / (2 * sigma**2)).unflatten(-1, (HEIGHT, WIDTH))


def random_points(margin: float) -> Tensor:
    """(4, 50, 2) seeded points in cells, ``margin`` cells away from the border."""
    share = torch.rand(4, 50, 2, generator=torch.Generator().manual_seed(0))
    return margin + share * (CELLS - 2 * margin)


@pytest.mark.parametrize("sigma", [0.6, 1.0, 1.3])
def test_peaks_are_read_back_below_the_size_of_a_cell(sigma):
    points = random_points(margin=5.0)
    found, mass = read_peaks(gaussian_logits(points, sigma) + 7.0)
    assert (found * CELLS - points).abs().max() < 0.05
    assert mass.min() > 0.98 and mass.max() <= 1.0 + 1e-6


def test_at_the_border_a_peak_moves_inwards_by_no_more_than_the_mean_of_half_a_gaussian():
    """On the border itself that is sqrt(2 / pi) sigma, 0.8 cells."""
    points = random_points(margin=0.0)
    side = torch.arange(4)[:, None]  # left, right, top, bottom
    points[..., 0] = torch.where(side == 0, 0.3, torch.where(side == 1, WIDTH - 0.3, points[..., 0]))
    points[..., 1] = torch.where(side == 2, 0.3, torch.where(side == 3, HEIGHT - 0.3, points[..., 1]))
    found, mass = read_peaks(gaussian_logits(points, 1.0))
    assert (found * CELLS - points).abs().max() < 0.85
    assert (found > 0).all() and (found < 1).all()
    assert mass.min() > 0.98 and mass.max() <= 1.0 + 1e-6


def test_of_two_modes_the_higher_is_read_and_the_mass_says_how_much_is_there():
    near, far = gaussian_logits(torch.tensor([[[6.2, 7.1]], [[25.0, 16.5]]]), 0.7)
    logits = torch.logaddexp(near + torch.tensor(0.75).log(), far + torch.tensor(0.25).log())[None]
    found, mass = read_peaks(logits)
    assert (found[0, 0] * CELLS - torch.tensor([6.2, 7.1])).abs().max() < 0.05
    assert mass.item() == pytest.approx(0.75, abs=0.01)


def test_a_flat_map_has_the_mass_of_its_window_and_no_more():
    _, mass = read_peaks(torch.zeros(1, 1, HEIGHT, WIDTH), radius=4)
    assert mass.item() in [
        pytest.approx(h * w / (HEIGHT * WIDTH)) for h in range(5, 10) for w in range(5, 10)
    ]


def test_gradient_of_the_peak_reaches_the_logits():
    logits = gaussian_logits(random_points(margin=3.0)[:1, :3], 1.0).requires_grad_()
    read_peaks(logits)[0].sum().backward()
    assert logits.grad is not None and logits.grad.isfinite().all() and logits.grad.any()


def test_salience_is_the_union_of_the_landmarks_at_every_level():
    logits = gaussian_logits(torch.tensor([[[4.5, 4.5], [20.5, 16.5]]]), 1.0)
    logits = logits * torch.tensor([1.0, 0.2])[:, None, None] + torch.tensor([9.0, -4.0])[:, None, None]
    sizes = [(HEIGHT, WIDTH), (HEIGHT // 2, WIDTH // 2), (5, 7)]
    levels = salience_levels(logits.expand(2, -1, -1, -1), sizes)
    assert [tuple(level.shape) for level in levels] == [(2, *size) for size in sizes]
    for level, (height, width) in zip(levels, sizes, strict=True):
        assert level.min() >= 0 and level.max() == 1
        for x, y in ((4.5, 4.5), (20.5, 16.5)):  # each landmark, however diffuse, peaks at 1
            assert level[0, int(y / HEIGHT * height), int(x / WIDTH * width)] == 1
    union = torch.stack([(row - row.max()).exp() for row in logits[0]]).amax(0)
    assert torch.allclose(levels[0][0], union)


def test_salience_hands_no_gradient_to_the_heatmaps():
    logits = torch.randn(1, 3, HEIGHT, WIDTH, requires_grad=True)
    assert not salience_levels(logits, [(6, 8)])[0].requires_grad
