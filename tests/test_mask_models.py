"""Mask models: shapes, gradients, precision, normalisation layers, heads that know left from right."""

import pytest
import torch
from timm.layers import BatchNormAct2d
from torch import nn

from models.backbone import TimmBackbone
from models.masks.auxiliary import AttributeHeads
from models.masks.group_norm import use_group_norm
from models.masks.losses import MaskCriterion
from models.masks.mask_model import MaskOutputs, MaskTargets
from models.masks.neck_net import NeckMaskNet
from models.masks.smp_net import ARCHITECTURES, SmpMaskNet
from tests.support.run_scripts import ROOT
from util.benchmark.subject import Source

K = 3
ENCODER = "tu-resnet10t"


def smp_net(architecture: str = "Unet", **changes) -> SmpMaskNet:
    return SmpMaskNet(
        **{"num_classes": K, "architecture": architecture, "encoder": ENCODER, "norm": "group", **changes}
    )


def neck_net(in_channels: int = 1, **changes) -> NeckMaskNet:
    backbone = TimmBackbone("resnet18", norm="group", in_channels=in_channels)
    return NeckMaskNet(num_classes=K, backbone=backbone, embed_dim=32, fine_dim=16, **changes)


KINDS = {
    "unet": smp_net,
    "unet++": lambda **changes: smp_net("UnetPlusPlus", **changes),
    "upernet": lambda **changes: smp_net("UPerNet", **changes),
    "deeplabv3+": lambda **changes: smp_net("DeepLabV3Plus", **changes),
    "segformer": lambda **changes: smp_net("Segformer", **changes),
    "neck": neck_net,
}


@pytest.fixture(scope="module", params=KINDS)
def kind(request):
    torch.manual_seed(0)
    return KINDS[request.param]


def images(count: int = 2, channels: int = 1, size: tuple[int, int] = (64, 96)) -> torch.Tensor:
    return torch.rand(count, channels, *size, generator=torch.Generator().manual_seed(1))


def test_maps_are_float32_of_every_class_also_under_autocast(kind) -> None:
    model = kind(attribute_values=(2, 3)).eval()
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        outputs = model(images())
    assert outputs.stride in (1, 2, 4) and outputs.logits.dtype == torch.float32
    assert outputs.logits.shape == (2, K, 64 // outputs.stride, 96 // outputs.stride)
    assert [tuple(logits.shape) for logits in outputs.attributes] == [(2, 2), (2, 3)]
    assert outputs.final.shape == (2, K, 64, 96)


def test_every_parameter_receives_a_gradient(kind) -> None:
    model = kind(attribute_values=(2,))
    masks = torch.zeros(2, K, 64, 96, dtype=torch.bool)
    masks[:, :, 20:40, 30:60] = True
    targets = MaskTargets(masks, torch.ones(2, K, dtype=torch.bool), torch.tensor([[0], [1]]))
    criterion = MaskCriterion({"bce": 1.0, "dice": 1.0}, attribute_weight=1.0)
    criterion(model.train()(images(), targets), targets, 0.0).total.backward()
    silent = [name for name, parameter in model.named_parameters() if parameter.grad is None]
    assert not silent


def test_the_maps_of_a_coarse_grid_lie_where_their_cells_are() -> None:
    """A ramp over the cells of stride 4 is that ramp over the pixels, within the outermost centres."""
    cells = (torch.arange(8) + 0.5) * 4
    final = MaskOutputs(cells.expand(1, 1, 8, 8), 4).final[0, 0]
    torch.testing.assert_close(final[:, 2:-2], ((torch.arange(32) + 0.5).expand(32, -1))[:, 2:-2])


def test_three_channels_are_taken(kind) -> None:
    with torch.inference_mode():
        assert kind(in_channels=3).eval()(images(1, 3)).logits.shape[:2] == (1, K)


def test_a_prediction_does_not_depend_on_its_batch_mates(kind) -> None:
    model, batch = kind().eval(), images(3)
    with torch.inference_mode():
        together, alone = model(batch).logits, model(batch[1:2]).logits
    torch.testing.assert_close(together[1:2], alone, atol=1e-3, rtol=1e-3)


def test_the_encoder_is_a_part_of_the_model_and_not_all_of_it(kind) -> None:
    model = kind()
    own = {id(parameter) for parameter in model.encoder_parameters()}
    everything = {id(parameter) for parameter in model.parameters()}
    assert own and own < everything


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_architecture_of_the_library_is_built_over_a_timm_encoder(architecture: str) -> None:
    model = smp_net(architecture, encoder="tu-test_resnet", norm="native").eval()
    with torch.inference_mode():
        logits = model(images(1, size=(128, 128))).logits
    assert logits.shape[:2] == (1, K) and 128 % logits.shape[-1] == 0


def test_group_norm_keeps_scale_shift_and_the_activation_inside() -> None:
    norm = BatchNormAct2d(8, act_layer=nn.SiLU)
    plain = nn.BatchNorm2d(24)
    with torch.no_grad():
        for layer in (norm, plain):
            layer.weight.uniform_(0.5, 2.0)
            layer.bias.uniform_(-1.0, 1.0)
    model = nn.Sequential(norm, nn.Conv2d(8, 24, 1), nn.ModuleList([plain]))
    assert use_group_norm(model) == 2
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in model.modules())
    maps = torch.randn(1, 8, 32, 32)
    expected = nn.functional.silu(nn.functional.group_norm(maps, 8, norm.weight, norm.bias))
    torch.testing.assert_close(model[0](maps), expected)
    group = model[2][0]
    assert group.weight is plain.weight and group.bias is plain.bias and 24 % group.num_groups == 0


def test_group_norm_leaves_no_batch_norm_in_an_encoder_that_hides_activations_in_it() -> None:
    def silus(model: nn.Module) -> int:
        return sum(isinstance(layer, nn.SiLU) for layer in model.modules())

    native, group = (smp_net(encoder="tu-mobilenetv3_small_050", norm=norm) for norm in ("native", "group"))
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in group.modules())
    assert silus(native) == silus(group)
    assert sum(isinstance(m, nn.Hardswish) for m in native.modules()) == sum(
        isinstance(m, nn.Hardswish) for m in group.modules()
    )
    assert any(isinstance(m, nn.Hardswish) for m in group.modules())


def test_a_head_can_tell_an_image_from_its_mirror_image() -> None:
    torch.manual_seed(0)
    heads = AttributeHeads(8, (2,))
    maps = torch.rand(1, 8, 6, 6)
    assert (heads(maps)[0] - heads(maps.flip(-1))[0]).abs().max() > 1e-3


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: smp_net("Unett"), "did you mean 'Unet'"),
        (lambda: smp_net(encoder="tu-resnet19"), "names like it"),
        (lambda: smp_net(norm="batch"), "'native' or 'group'"),
        (lambda: smp_net(options={"decoder_chanels": 3}), "could not be built"),
        (lambda: smp_net(num_classes=0), "at least 1"),
        (lambda: smp_net(attribute_values=(1,)), "at least 2 each"),
        (lambda: smp_net()(images(size=(48, 96))), "multiples of 32"),
        (lambda: smp_net("PAN", norm="native")(images(size=(64, 96))), "at least 128"),
        (lambda: smp_net("PAN", norm="group")(images(size=(128, 160))), "at least 256"),
    ],
)
def test_what_cannot_be_built_says_why(build, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build()


@pytest.mark.parametrize("file", sorted(ROOT.glob("configs/masks/models/*.py")), ids=lambda file: file.stem)
def test_the_benchmark_builds_what_ships(file):
    model = Source("model_config", file, (64, 64), 3).build(torch.device("cpu"))
    assert model.num_classes == 3
