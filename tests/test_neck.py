"""The neck: sizes and widths, and what it owes to its options."""

import pytest
import torch
from torch import nn

from models.backbone import group_norm
from models.neck import UNetNeck

CHANNELS = (8, 16, 64, 128)


def features(batch: int = 2, height: int = 96, width: int = 160) -> list[torch.Tensor]:
    """Maps of strides 4 to 32, seeded."""
    generator = torch.Generator().manual_seed(0)
    sizes = [(height // stride, width // stride) for stride in (4, 8, 16, 32)]
    return [
        torch.rand(batch, count, *size, generator=generator)
        for count, size in zip(CHANNELS, sizes, strict=True)
    ]


@pytest.mark.parametrize("norm", [nn.BatchNorm2d, group_norm])
def test_one_width_for_strides_8_to_64_and_a_finer_map(norm):
    maps = UNetNeck(CHANNELS, 32, fine_dim=16, norm=norm)(features())
    assert maps.fine.shape == (2, 16, 24, 40)
    assert [m.shape[1:] for m in maps.levels] == [(32, 12, 20), (32, 6, 10), (32, 3, 5), (32, 2, 3)]


def test_the_fine_map_sees_every_map_of_the_backbone():
    neck = UNetNeck(CHANNELS, 32, fine_dim=16).eval()
    maps = [m.requires_grad_() for m in features()]
    gradients = torch.autograd.grad(neck(maps).fine.square().sum(), maps)
    assert all(gradient.abs().sum() > 0 for gradient in gradients)


def test_with_group_norm_no_case_depends_on_the_others_of_its_batch():
    neck = UNetNeck(CHANNELS, 32, fine_dim=16, norm=group_norm).train()
    whole, single = neck(features()), neck([m[:1] for m in features()])
    torch.testing.assert_close(whole.fine[:1], single.fine, rtol=1e-4, atol=1e-5)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in neck.modules())
    mixing = UNetNeck(CHANNELS, 32, fine_dim=16).train()
    assert not torch.allclose(
        mixing(features()).fine[:1], mixing([m[:1] for m in features()]).fine, atol=1e-3
    )


def test_a_wide_backbone_does_not_widen_the_convolutions():
    wide = UNetNeck([4 * count for count in (16, 32, 64, 128)], 32, fine_dim=16)
    for convolution in (module for module in wide.modules() if isinstance(module, nn.Conv2d)):
        assert convolution.kernel_size == (1, 1) or convolution.in_channels <= 64
