"""A landmark that is encoded and decoded comes back, each decoding within the bound that theory gives it."""

import math

import pytest
import torch
from torch import Tensor

from models.landmarks.baselines.heatmap_codec import GaussianHeatmaps
from models.landmarks.baselines.heatmap_decoding import dark
from models.landmarks.baselines.simcc import SimccCodec
from models.landmarks.prediction import Targets

WIDTH, HEIGHT = 192, 128  # pixels of the canvas
CANVAS = torch.tensor([WIDTH, HEIGHT])
BOUNDS_CELLS = {"argmax": 0.5, "quarter": 0.25}  # along each axis
BOUND_PX = 0.05


def targets_at(pixels: Tensor, mm_per_px: float = 0.5) -> Targets:
    """(B, K, 2) canvas pixels, all present."""
    present = torch.ones(pixels.shape[:2], dtype=torch.bool)
    return Targets(pixels / CANVAS, present, (CANVAS * mm_per_px).expand(len(pixels), -1))


def random_targets(margin: float) -> Targets:
    share = torch.rand(2, 100, 2, generator=torch.Generator().manual_seed(0))
    return targets_at(margin + share * (CANVAS - 2 * margin))


def network_output(codec: GaussianHeatmaps, maps: Tensor) -> Tensor:
    """What a network would have to give for ``maps`` (peak 1) after the codec's activation."""
    tiny = torch.finfo(maps.dtype).tiny
    if codec.activation == "softmax":
        return maps.clamp(min=tiny).log() + 3.0  # a constant changes nothing
    return maps.clamp(1e-30, 1 - 1e-7).logit() if codec.activation == "sigmoid" else maps


def round_trip_px(codec: GaussianHeatmaps, targets: Targets) -> Tensor:
    """(B, K, 2) distance in pixels along each axis after encode and decode."""
    maps = codec.encode(targets, (HEIGHT // codec.stride, WIDTH // codec.stride))
    return ((codec.decode(network_output(codec, maps)).points - targets.points) * CANVAS).abs()


@pytest.mark.parametrize("activation", ["softmax", "sigmoid", "linear"])
@pytest.mark.parametrize("stride", [1, 2, 4, 8])
@pytest.mark.parametrize("decoding", ["argmax", "quarter", "dark", "soft_argmax"])
def test_round_trip(decoding, stride, activation):
    sigma = max(1.0 * stride, 2.0)
    codec = GaussianHeatmaps(stride=stride, sigma=sigma, activation=activation, decoding=decoding)
    worst = round_trip_px(codec, random_targets(margin=5 * sigma)).max().item()
    if decoding not in BOUNDS_CELLS:
        assert worst < BOUND_PX
        return
    bound = BOUNDS_CELLS[decoding] * stride
    assert 0.9 * bound < worst <= bound + 1e-4  # the bound is reached: argmax cannot do better


def test_dark_is_exact_up_to_the_border_without_smoothing_across_it():
    edge = torch.tensor([[[0.3, 60.0], [WIDTH - 0.3, 60.0], [90.0, 0.3], [1.0, HEIGHT - 1.0]]])
    codec = GaussianHeatmaps(stride=1, sigma=4.0)
    log_maps = codec.encode(targets_at(edge), (HEIGHT, WIDTH)).clamp(min=1e-38).log()
    assert (dark(log_maps, blur=0.05) - edge).abs().max() < 1e-2  # so narrow a kernel is the identity


def test_quarter_offset_stays_at_the_border_and_every_point_is_on_the_map():
    corner = targets_at(torch.tensor([[[0.1, 0.1], [WIDTH - 0.1, HEIGHT - 0.1]]]))
    for decoding in ("quarter", "argmax", "soft_argmax", "dark"):
        codec = GaussianHeatmaps(stride=4, decoding=decoding)
        maps = network_output(codec, codec.encode(corner, (HEIGHT // 4, WIDTH // 4)))
        cells = codec.decode(maps).points * CANVAS / 4
        if decoding in ("quarter", "argmax"):
            assert torch.equal(cells[0], torch.tensor([[0.5, 0.5], [WIDTH / 4 - 0.5, HEIGHT / 4 - 0.5]]))
        assert (cells >= -1e-3).all() and (cells <= CANVAS / 4 + 1e-3).all()


def test_dark_uses_the_slope_between_the_axes():
    """A Gaussian along the diagonal: without the mixed derivative the step would be wrong."""
    centre, inverse = torch.tensor([10.3, 11.8]), torch.tensor([[0.5, -0.35], [-0.35, 0.5]])
    y, x = torch.meshgrid(torch.arange(24) + 0.5, torch.arange(24) + 0.5, indexing="ij")
    offset = torch.stack([x, y], -1) - centre
    log_map = -0.5 * ((offset @ inverse) * offset).sum(-1)
    torch.testing.assert_close(dark(log_map[None, None], 0.05)[0, 0], centre, atol=1e-3, rtol=0)


def test_sigma_in_mm_follows_the_spacing_of_each_image():
    codec = GaussianHeatmaps(stride=2, sigma=3.0, unit="mm", mm_per_px=0.5)
    points = torch.tensor([[[0.5, 0.5]]]).expand(2, -1, -1)
    mm_per_unit = torch.stack([CANVAS * 0.5, CANVAS * 0.25])
    maps = codec.encode(
        Targets(points, torch.ones(2, 1, dtype=torch.bool), mm_per_unit), (HEIGHT // 2, WIDTH // 2)
    )
    across = maps[:, 0, HEIGHT // 4]  # one row of cells, half a cell below the point
    for row, sigma in zip(across, (3.0, 6.0), strict=True):  # 3 mm = 6 or 12 px = 3 or 6 cells
        cells = torch.arange(WIDTH // 2) + 0.5 - WIDTH / 4
        variance = (row * cells.square()).sum() / row.sum()
        assert variance.sqrt().item() == pytest.approx(sigma, rel=1e-3)
    assert codec.usual_sigma == pytest.approx(3.0)


def test_the_uncertainty_is_the_spread_beyond_the_training_target():
    wide, narrow = (GaussianHeatmaps(stride=4, sigma=sigma) for sigma in (6.0, 4.0))
    maps = wide.encode(random_targets(margin=30.0), (HEIGHT // 4, WIDTH // 4))
    scale_px = narrow.decode(network_output(narrow, maps)).scale * CANVAS
    expected = math.sqrt((6.0**2 - 4.0**2) / 2)  # Laplace: variance 2 b²
    assert (scale_px / expected - 1).abs().max() < 0.05  # the window ends at 4 of the narrow deviations
    perfect = wide.decode(network_output(wide, maps)).scale * CANVAS
    torch.testing.assert_close(perfect, torch.full_like(perfect, 1.0 / math.sqrt(2)))  # the floor: a pixel


def test_missing_landmarks_have_empty_maps_and_nothing_is_poisoned():
    points = torch.tensor([[[0.5, 0.5], [math.nan, math.nan]]])
    targets = Targets(points, torch.tensor([[True, False]]), CANVAS[None] * 0.5)
    maps = GaussianHeatmaps().encode(targets, (32, 48))
    assert maps.isfinite().all() and maps[0, 0].max() > 0.7 and not maps[0, 1].any()


@pytest.mark.parametrize("activation", ["softmax", "sigmoid", "linear"])
@pytest.mark.parametrize("decoding", ["argmax", "quarter", "dark", "soft_argmax"])
def test_any_output_of_a_network_decodes_to_finite_numbers(decoding, activation):
    codec = GaussianHeatmaps(activation=activation, decoding=decoding)
    noise = 50.0 * torch.randn(2, 3, 16, 24, generator=torch.Generator().manual_seed(0))
    for outputs in (noise, torch.zeros_like(noise), -noise.abs()):
        prediction = codec.decode(outputs)
        assert prediction.points.isfinite().all() and prediction.log_scale.isfinite().all()
        assert (prediction.points >= -0.1).all() and (prediction.points <= 1.1).all()


@pytest.mark.parametrize("bins_per_px", [1.0, 2.0, 3.0])
@pytest.mark.parametrize("decoding", ["argmax", "soft_argmax"])
def test_simcc_round_trip(decoding, bins_per_px):
    codec = SimccCodec(bins_per_px=bins_per_px, sigma=2.0, decoding=decoding)
    points = random_targets(margin=10.0).points
    scores = [
        codec.encode(points[..., axis], codec.num_bins(length)).clamp(min=1e-38).log()
        for axis, length in enumerate((WIDTH, HEIGHT))
    ]
    prediction = codec.decode(scores[0], scores[1])
    worst = ((prediction.points - points) * CANVAS).abs().max().item()
    assert worst < BOUND_PX if decoding == "soft_argmax" else worst <= 0.5 / bins_per_px + 1e-4
    scale_px = prediction.scale * CANVAS
    torch.testing.assert_close(scale_px, torch.full_like(scale_px, 1.0 / math.sqrt(2)))  # the floor: a pixel


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"decoding": "darc"}, "decoding='darc', expected one of"),
        ({"activation": "relu"}, "activation='relu'"),
        ({"unit": "cm"}, "unit='cm'"),
        ({"sigma": 0.0}, "sigma=0.0"),
        ({"stride": 0}, "stride=0"),
        ({"unit": "mm"}, "mm_per_px=None: unit 'mm' needs"),
        ({"mm_per_px": 0.5}, "unit 'px' takes none"),
    ],
)
def test_wrong_codecs_are_named(change, message):
    with pytest.raises(ValueError, match=message):
        GaussianHeatmaps(**change)
    with pytest.raises(ValueError, match="SimCC with bins_per_px=0"):
        SimccCodec(bins_per_px=0)
