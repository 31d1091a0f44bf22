"""Normalisation: exposure cancels out of local contrast, structure stays."""

import pytest
import torch
from torch import Tensor

from models.normalisation import FixedScale, LocalContrast


def test_a_fixed_scale_is_two_numbers():
    torch.testing.assert_close(FixedScale(0.5, 0.25)(torch.tensor([0.5, 1.0])), torch.tensor([0.0, 2.0]))


def texture(height: int = 256, width: int = 192) -> Tensor:
    """(1, 1, height, width) blocks of strong contrast, in [0.2, 0.8]."""
    coarse = torch.rand(1, 1, height // 8, width // 8, generator=torch.Generator().manual_seed(0))
    return 0.2 + 0.6 * coarse.repeat_interleave(8, -2).repeat_interleave(8, -1)


def test_brightness_and_contrast_cancel_out():
    image = texture()
    plain, changed = LocalContrast()(image), LocalContrast()(0.7 * image + 0.1)
    torch.testing.assert_close(plain, changed, rtol=0.15, atol=0.02)
    torch.testing.assert_close(LocalContrast()(1.0 - image), -plain, rtol=1e-3, atol=1e-4)
    assert plain.shape == image.shape
    assert abs(float(plain.mean())) < 0.1 and float(plain.std()) == pytest.approx(1.0, abs=0.2)


def test_a_dark_part_counts_as_much_as_a_bright_one():
    image = texture()
    image[..., 96:] *= 0.25
    found = LocalContrast()(image)
    assert float(found[..., 128:].std() / found[..., :64].std()) > 0.7
    assert float(image[..., 128:].std() / image[..., :64].std()) == pytest.approx(0.25, abs=0.02)


def test_an_image_without_structure_has_no_contrast():
    for grey in (0.0, 0.3, 1.0):
        found = LocalContrast()(torch.full((2, 1, 64, 96), grey))
        torch.testing.assert_close(found, torch.zeros(2, 1, 64, 96), atol=0.02, rtol=0.0)


def test_a_constant_region_has_a_gradient():
    image = torch.full((1, 1, 64, 64), 0.5, requires_grad=True)
    LocalContrast()(image).sum().backward()
    assert image.grad is not None and image.grad.isfinite().all()
