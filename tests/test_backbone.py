"""Backbones: four strides from any hierarchical timm model, and weights only from where the user says."""

import huggingface_hub.constants
import pytest
import timm
import torch

from models.backbone import STRIDES, TimmBackbone

SWIN = {"img_size": (64, 96)}


@pytest.mark.parametrize(
    ("name", "options"),
    [("resnet10t", None), ("swin_tiny_patch4_window7_224", SWIN), ("convnext_atto", None)],
)
def test_features_come_channels_first_at_strides_4_to_32(name, options):
    backbone = TimmBackbone(name, options=options).eval()
    with torch.no_grad():
        maps = backbone(torch.rand(2, 1, 64, 96))
    expected = [(2, c, 64 // s, 96 // s) for c, s in zip(backbone.channels, STRIDES, strict=True)]
    assert [tuple(m.shape) for m in maps] == expected


def test_channels_last_maps_are_turned_even_where_height_equals_channels():
    backbone = TimmBackbone("swin_tiny_patch4_window7_224", options={"img_size": (384, 32)}).eval()
    with torch.no_grad():
        maps = backbone(torch.rand(1, 1, 384, 32))  # stride 4: 96 rows, 96 channels
    assert [tuple(m.shape[2:]) for m in maps] == [(384 // s, 32 // s) for s in STRIDES]


def test_group_norm_keeps_the_cases_of_a_training_batch_apart():
    torch.manual_seed(0)
    backbone = TimmBackbone("resnet18", norm="group").train()
    assert not any(isinstance(m, torch.nn.modules.batchnorm._BatchNorm) for m in backbone.modules())
    images = torch.rand(2, 1, 64, 64)
    with torch.no_grad():
        together, alone = backbone(images), backbone(images[:1])
    for one, other in zip(together, alone, strict=True):
        assert torch.allclose(one[:1], other, atol=1e-4)


def test_local_weights_of_a_colour_model_are_loaded(tmp_path):
    torch.manual_seed(0)
    colour = timm.create_model("resnet10t", pretrained=False)
    torch.save(colour.state_dict(), tmp_path / "resnet10t.pth")
    backbone = TimmBackbone("resnet10t", weights=str(tmp_path / "resnet10t.pth"))
    loaded, saved = backbone.features.state_dict(), colour.state_dict()
    first = "conv1.0.weight"
    assert torch.allclose(loaded[first], saved[first].sum(1, keepdim=True), atol=1e-6)
    assert all(torch.equal(value, saved[key]) for key, value in loaded.items() if key != first)


def test_what_cannot_be_built_is_explained(tmp_path):
    with pytest.raises(ValueError, match=r"'resnet19' is not a timm model; names like it: .*'resnet18'"):
        TimmBackbone("resnet19")
    with pytest.raises(ValueError, match=r"norm='layer': expected 'native', 'group' or 'frozen'"):
        TimmBackbone("resnet10t", norm="layer")
    with pytest.raises(ValueError, match=r"features at strides \(16, .*needs \(4, 8, 16, 32\)"):
        TimmBackbone("vit_tiny_patch16_224", options={"img_size": 64})
    with pytest.raises(ValueError, match=r"absent\.pth'?: no such file"):
        TimmBackbone("resnet10t", weights=str(tmp_path / "absent.pth"))
    (tmp_path / "broken.pth").write_bytes(b"not a checkpoint")
    with pytest.raises(ValueError, match="pretrained weights could not be loaded"):
        TimmBackbone("resnet10t", weights=str(tmp_path / "broken.pth"))


def test_pretrained_without_a_route_to_the_hub_names_the_way_out(tmp_path, monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ValueError, match=r"pretrained=False, or give a local file as weights=FILE"):
        TimmBackbone("resnet10t", pretrained=True)


def test_group_norm_on_a_model_whose_widths_do_not_divide_is_explained():
    with pytest.raises(ValueError, match=r"'resnet10t' could not be built.* \(24\) must be divisible"):
        TimmBackbone("resnet10t", norm="group")
    with pytest.raises(ValueError, match=r"frozen='layer9': no module of it; there are \[.*'layer1'"):
        TimmBackbone("resnet10t", frozen=["layer9"])


def test_frozen_norms_and_modules_stay_as_they_are():
    backbone = TimmBackbone("resnet10t", norm="frozen", frozen=["layer1"]).train()
    before = {name: value.clone() for name, value in backbone.state_dict().items()}
    torch.stack([m.sum() for m in backbone(torch.rand(2, 1, 64, 64))]).sum().backward()
    without = {name for name, p in backbone.named_parameters() if p.grad is None}
    assert without == {name for name, _ in backbone.named_parameters() if ".layer1." in name}
    assert not backbone.features.get_submodule("layer1").training
    assert all(torch.equal(value, before[name]) for name, value in backbone.state_dict().items())
    assert not any(".bn" in name for name, _ in backbone.named_parameters())
