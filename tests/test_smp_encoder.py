"""A local file of timm weights reaches the encoders that segmentation-models-pytorch builds."""

from pathlib import Path

import pytest
import timm
import torch

from models.landmarks.baselines.heatmap_trunks import SmpTrunk
from models.masks.smp_net import SmpMaskNet


def trunk(encoder: str, weights: str) -> SmpTrunk:
    return SmpTrunk(architecture="Unet", encoder=encoder, decoder_channels=(16, 8, 8), weights=weights)


def mask_net(encoder: str, weights: str) -> SmpMaskNet:
    return SmpMaskNet(num_classes=2, architecture="Unet", encoder=encoder, weights=weights)


@pytest.mark.parametrize("build", [trunk, mask_net])
def test_an_encoder_starts_from_a_local_file(build, tmp_path: Path) -> None:
    colour = timm.create_model("resnet10t", pretrained=False)
    file = tmp_path / "resnet10t.pth"
    torch.save(colour.state_dict(), file)
    found = build("tu-resnet10t", str(file)).encoder.state_dict()
    assert torch.equal(found["model.layer4.0.conv1.weight"], colour.state_dict()["layer4.0.conv1.weight"])
    of_colour = colour.state_dict()["conv1.0.weight"]
    assert torch.allclose(found["model.conv1.0.weight"], of_colour.sum(1, keepdim=True))  # grey is R = G = B


@pytest.mark.parametrize("build", [trunk, mask_net])
def test_a_file_that_cannot_be_taken_is_named(build, tmp_path: Path) -> None:
    absent, broken = tmp_path / "absent.pth", tmp_path / "broken.pth"
    broken.write_bytes(b"not a checkpoint")
    with pytest.raises(ValueError, match=r"absent\.pth'?: no such file"):
        build("tu-resnet10t", str(absent))
    with pytest.raises(ValueError, match=r"'tu-resnet10t': pretrained weights could not be loaded"):
        build("tu-resnet10t", str(broken))
    with pytest.raises(ValueError, match=r"for encoder 'resnet18': .*expected an encoder 'tu-NAME'"):
        build("resnet18", str(broken))
