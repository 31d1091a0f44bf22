"""Sliding windows: they cover everything, and change nothing for a model that judges single pixels."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from util.prediction.masks.windows import maps_in_windows, window_starts, window_weights


def pointwise(images: Tensor) -> Tensor:
    """Three maps that depend on nothing but the pixel."""
    return torch.cat([images, 3.0 * images - 1.0, images.square()], 1)


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 40), st.integers(1, 12), st.floats(0.0, 0.9))
def test_windows_cover_an_axis_and_the_last_is_flush(cells: int, window: int, overlap: float) -> None:
    length, side = cells * 32, window * 32
    starts = window_starts(length, side, overlap, 32)
    side = min(side, length)
    assert starts[0] == 0 and starts[-1] + side == length
    assert all(start % 32 == 0 for start in starts)
    assert starts == sorted(set(starts))
    shared = [first + side - second for first, second in pairwise(starts)]
    assert all(least >= min(overlap * side, side - 32) - 1e-9 for least in shared)


def test_the_case_that_left_a_third_uncovered_is_covered() -> None:
    assert window_starts(20 * 32, 8 * 32, 0.0, 32) == [0, 256, 384]


def test_weights_have_their_peak_in_the_middle_and_none_is_zero() -> None:
    weights = window_weights(9, 15)
    assert weights.argmax() == 4 * 15 + 7
    torch.testing.assert_close(weights, weights.flip(0, 1))
    assert 0 < weights.min() < 0.1 * weights.max()


@pytest.mark.parametrize("size", [(192, 160), (64, 256), (32, 32), (96, 64)])
@pytest.mark.parametrize("overlap", [0.0, 0.5, 0.8])
def test_a_model_of_single_pixels_gives_what_it_gives_of_the_whole(size, overlap) -> None:
    images = torch.rand(1, 1, *size, generator=torch.Generator().manual_seed(0))
    found = maps_in_windows(pointwise, images, window=(96, 64), overlap=overlap)
    torch.testing.assert_close(found, pointwise(images).half(), atol=1e-3, rtol=1e-3)


def test_maps_of_a_coarser_stride_lie_in_their_places() -> None:
    images = torch.rand(1, 1, 160, 128, generator=torch.Generator().manual_seed(0))

    def coarse(part: Tensor) -> Tensor:
        return F.avg_pool2d(part, 4)

    found = maps_in_windows(coarse, images, window=(96, 96), overlap=0.5)
    torch.testing.assert_close(found, coarse(images).half(), atol=1e-3, rtol=1e-3)


def test_the_middle_of_a_window_counts_more_than_its_border() -> None:
    def left_is_wrong(part: Tensor) -> Tensor:
        maps = torch.zeros_like(part)
        maps[..., :8] = 1.0
        return maps

    found = maps_in_windows(left_is_wrong, torch.zeros(1, 1, 64, 96), window=(64, 64), overlap=0.5)
    assert found[0, 0, 32, 0] == 1.0  # no other window sees it
    assert 0.0 < found[0, 0, 32, 36] < 0.2  # the border of the second, near the middle of the first


@pytest.mark.parametrize(
    ("arguments", "message"),
    [((100, 64, 0.5, 32), "multiples of 32"), ((128, 64, 1.0, 32), "from 0 to below 1")],
)
def test_what_makes_no_sense_is_refused(arguments, message) -> None:
    with pytest.raises(ValueError, match=message):
        window_starts(*arguments)
