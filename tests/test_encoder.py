"""The salience encoder updates the most salient tokens and no others."""

import pytest
import torch
from torch import Tensor

from models.encoder import SalienceEncoder
from tests.support.small_detr import wake

DIM = 16
SIZES = [(8, 6), (4, 3), (2, 2)]


def encoder(level_ratios: tuple[float, ...] = (0.25, 0.5, 1.0), layer_ratios=(1.0, 0.5)) -> SalienceEncoder:
    torch.manual_seed(0)
    module = SalienceEncoder(
        DIM, num_heads=4, num_points=2, level_ratios=level_ratios, layer_ratios=layer_ratios
    )
    wake(module)
    return module.eval()


@pytest.fixture
def levels() -> list[Tensor]:
    return [torch.randn(2, DIM, *size, generator=torch.Generator().manual_seed(1)) for size in SIZES]


@pytest.fixture
def salience() -> list[Tensor]:
    generator = torch.Generator().manual_seed(2)
    return [torch.rand(2, *size, generator=generator) for size in SIZES]


def flat(maps: list[Tensor] | tuple[Tensor, ...]) -> Tensor:
    """(B, T, C) tokens of L maps, or (B, T) of their salience."""
    return torch.cat([m.flatten(2).transpose(1, 2) if m.dim() == 4 else m.flatten(1) for m in maps], 1)


def changed(module: SalienceEncoder, levels: list[Tensor], salience: list[Tensor]) -> Tensor:
    """(B, T) bool: tokens that differ from their input in any bit."""
    with torch.no_grad():
        return (flat(module(levels, salience)) != flat(levels)).any(-1)


def test_only_kept_tokens_change(levels, salience):
    module = encoder()
    kept = torch.zeros(flat(salience).shape, dtype=torch.bool).scatter(1, module.select(salience), True)
    assert torch.equal(changed(module, levels, salience), kept)
    assert kept.sum(1).tolist() == [12 + 6 + 4] * 2
    assert kept[:, -4:].all()  # the coarsest level is kept whole


def test_the_most_salient_of_every_level_are_kept_in_falling_order(salience):
    index = encoder().select(salience)
    scores = flat(salience).gather(1, index)
    assert (scores.diff(dim=1) <= 0).all()
    start = 0
    for level, ratio in zip(salience, (0.25, 0.5, 1.0), strict=True):
        stop = start + level[0].numel()
        for row, row_scores, row_level in zip(index, scores, level, strict=True):
            chosen = row_scores[(row >= start) & (row < stop)]
            assert torch.equal(chosen, row_level.flatten().sort(descending=True).values[: len(chosen)])
            assert len(chosen) == round(row_level.numel() * ratio)
        start = stop


def test_of_equally_salient_tokens_the_first_are_kept(salience):
    """As in an exported graph. The peaks of many landmarks can be more than a level keeps: 12 of 30 here."""
    finest = salience[0].clone()
    finest.flatten(1)[:, 7:37] = 1.0
    kept = encoder().select([finest, *salience[1:]])
    assert kept[:, :12].tolist() == [list(range(7, 19))] * 2


def test_a_later_layer_updates_the_more_salient_share(levels, salience):
    first, both = encoder(layer_ratios=(1.0,)), encoder(layer_ratios=(1.0, 0.5))
    both.load_state_dict(first.state_dict(), strict=False)
    with torch.no_grad():
        twice = (flat(first(levels, salience)) != flat(both(levels, salience))).any(-1)
    index = both.select(salience)
    expected = torch.zeros_like(twice).scatter(1, index[:, : index.shape[1] // 2], True)
    assert torch.equal(twice, expected)


def test_ratio_one_keeps_every_token(levels, salience):
    assert changed(encoder((1.0, 1.0, 1.0), (1.0,)), levels, salience).all()


def test_unkept_tokens_are_still_read(levels, salience):
    """A change under an unkept token of the finest level shows in the kept ones."""
    module = encoder((0.05, 0.05, 1.0), (1.0,))
    kept = module.select(salience)
    other = [levels[0] + 1.0, *levels[1:]]
    with torch.no_grad():
        one, two = flat(module(levels, salience)), flat(module(other, salience))
    coarse = kept[0][kept[0] >= 60]
    assert (one[0, coarse] != two[0, coarse]).any()


def test_a_token_reads_around_its_own_place(levels, salience):
    """Fresh offsets form a star of four arms, two cells long; in a corner a cell lies on six such stars."""
    torch.manual_seed(0)
    module = SalienceEncoder(DIM, num_heads=4, num_points=2, level_ratios=(1.0, 1.0, 1.0))
    other = [levels[0].clone(), *levels[1:]]
    other[0][:, :, 1, 5] += 1.0
    with torch.no_grad():
        one, two = module(levels, salience)[0], module(other, salience)[0]
    rows, columns = (one != two).any(1)[0].nonzero().T
    assert len(rows) >= 6 and (rows - 1).abs().max() <= 2 and (columns - 5).abs().max() <= 2


def test_maps_keep_their_shapes(levels, salience):
    assert [m.shape for m in encoder()(levels, salience)] == [m.shape for m in levels]


@pytest.mark.parametrize("ratio", [0.0, -0.1, 1.5])
def test_a_ratio_outside_its_range_is_refused(ratio):
    with pytest.raises(ValueError, match=r"expected a share in \(0, 1\]"):
        encoder((ratio, 1.0, 1.0))
    with pytest.raises(ValueError, match=r"expected a share in \(0, 1\]"):
        encoder(layer_ratios=(ratio,))


def test_every_level_needs_a_share(levels, salience):
    with pytest.raises(ValueError, match="level_ratios has 2 numbers, expected 3, one a level"):
        encoder((0.5, 1.0))(levels, salience)
