"""Heatmap models, SimCC and plain regression: shapes, gradients, precision, and that they learn."""

import pytest
import torch
from torch import nn

from models.backbone import TimmBackbone
from models.landmarks.baselines.heatmap_codec import GaussianHeatmaps
from models.landmarks.baselines.heatmap_net import HeatmapNet
from models.landmarks.baselines.heatmap_trunks import ConcatTrunk, SmpTrunk
from models.landmarks.baselines.losses_heatmap import HeatmapCriterion, MeanSquaredError, SoftmaxCrossEntropy
from models.landmarks.baselines.regression import RegressionCriterion, RegressionNet
from models.landmarks.baselines.simcc import SimccCodec, SimccCriterion, SimccNet
from models.landmarks.prediction import Targets
from tests.support.small_detr import draw_blobs, random_images, random_targets, wake
from util.training.optim import WeightAverage

K = 5
ENCODER = "tu-resnet10t"
WIDTHS = {"Unet": (24, 16, 16), "UnetPlusPlus": (24, 16, 16), "UPerNet": (16,)}


def trunk(architecture: str = "Unet", **changes) -> SmpTrunk:
    return SmpTrunk(
        **{
            "architecture": architecture,
            "encoder": ENCODER,
            "decoder_channels": WIDTHS[architecture],
            **changes,
        }
    )


def heatmap_net(part: nn.Module, **codec) -> HeatmapNet:
    return HeatmapNet(num_landmarks=K, trunk=part, codec=GaussianHeatmaps(**codec))


KINDS = {
    "unet": lambda: heatmap_net(trunk()),
    "unet++": lambda: heatmap_net(trunk("UnetPlusPlus")),
    "upernet": lambda: heatmap_net(trunk("UPerNet")),
    "concat": lambda: heatmap_net(ConcatTrunk(encoder=TimmBackbone("resnet10t"))),
    "unet, stride 2 from 4, linear": lambda: heatmap_net(trunk(), stride=2, activation="linear"),
    "plain unet": lambda: heatmap_net(
        trunk(encoder="vgg11_bn", depth=4, stride=1, decoder_channels=(8,) * 4),
        stride=1,
        activation="sigmoid",
    ),
    "simcc": lambda: SimccNet(
        num_landmarks=K, backbone=TimmBackbone("resnet10t"), size=(96, 64), codec=SimccCodec()
    ),
    "regression": lambda: RegressionNet(num_landmarks=K, backbone=TimmBackbone("resnet10t")),
}
CRITERIA = {
    "simcc": SimccCriterion(),
    "regression": RegressionCriterion(),
    "unet, stride 2 from 4, linear": HeatmapCriterion(loss=MeanSquaredError()),
}


@pytest.fixture(scope="module", params=KINDS)
def kind(request) -> tuple[str, nn.Module]:
    torch.manual_seed(0)
    model = KINDS[request.param]()
    wake(model, 0.02)
    return request.param, model.eval()


def test_predictions_are_float32_of_every_landmark_also_under_autocast(kind):
    model = kind[1]
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        outputs = model(random_images(2))
    for tensor in (outputs.final.points, outputs.final.log_scale):
        assert tensor.shape == (2, K, 2) and tensor.dtype == torch.float32 and tensor.isfinite().all()


def test_a_prediction_does_not_depend_on_its_batch_mates(kind):
    """But for a convolution's last bits: its kernel goes by batch and machine, and flat maps enlarge them."""
    images = random_images(3)
    with torch.inference_mode():
        together, alone = kind[1](images).final, kind[1](images[1:2]).final
    torch.testing.assert_close(together.points[1:2], alone.points, atol=1e-3, rtol=0)
    torch.testing.assert_close(together.log_scale[1:2], alone.log_scale, atol=1e-3, rtol=0)


def test_every_parameter_receives_a_gradient(kind):
    name, model = kind
    targets = random_targets(2)
    outputs = model.train()(random_images(2), targets)
    model.eval()
    if name in CRITERIA:
        loss = CRITERIA[name](outputs, targets, 1.0).total
    else:
        loss = (outputs.heatmaps * torch.rand_like(outputs.heatmaps)).sum()
    loss.backward()
    missed = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    model.zero_grad()
    assert missed == []


@pytest.mark.parametrize("architecture", ["Unet", "UnetPlusPlus", "UPerNet"])
@pytest.mark.parametrize("stride", [1, 2, 4, 8])
def test_any_trunk_gives_heatmaps_of_any_stride(architecture, stride):
    model = heatmap_net(trunk(architecture), stride=stride, sigma=2.0 * stride).eval()
    with torch.inference_mode():
        assert model(random_images(1)).heatmaps.shape == (1, K, 96 // stride, 64 // stride)


@pytest.mark.parametrize(("stride", "blocks"), [(1, 5), (2, 4), (4, 3), (8, 2)])
@pytest.mark.parametrize("architecture", ["Unet", "UnetPlusPlus"])
def test_the_decoder_ends_at_the_trunks_stride(architecture, stride, blocks):
    part = trunk(architecture, stride=stride, decoder_channels=(16,) * blocks).eval()
    with torch.inference_mode():
        assert part(random_images(1)).shape == (1, 16, 96 // stride, 64 // stride)


def test_hrnet_is_its_four_branches_at_stride_4():
    part = ConcatTrunk(encoder=TimmBackbone("hrnet_w18_small", options={"feature_location": ""}))
    assert part.channels == 16 + 32 + 64 + 128
    with torch.inference_mode():
        assert part.eval()(random_images(1, 64, 64)).shape == (1, part.channels, 16, 16)


def test_regression_starts_at_the_mean_shape():
    model = RegressionNet(num_landmarks=K, backbone=TimmBackbone("resnet10t")).eval()
    model.mean_shape.copy_(torch.rand(K, 2))
    with torch.inference_mode():
        points = model(random_images(2)).final.points
    torch.testing.assert_close(points, model.mean_shape.expand(2, -1, -1))


def blob_batch(seed: int, count: int = 8):
    """(count, 1, 64, 64) images of two blobs, a narrow and a wide one, and their targets."""
    points = 12.0 + 40.0 * torch.rand(count, 2, 2, generator=torch.Generator().manual_seed(seed))
    drawn = [draw_blobs(one.numpy(), torch.tensor([2.0, 5.0]).numpy(), (64, 64)) for one in points]
    images = torch.stack([torch.as_tensor(image, dtype=torch.float32) for image in drawn])[:, None]
    present = torch.ones(count, 2, dtype=torch.bool)
    return images, Targets(points / 64, present, torch.full((count, 2), 64.0))


def test_a_heatmap_model_learns_which_blob_is_which():
    """On unseen images, to well below the 4 pixels of a cell; the mean point is 20 pixels off."""
    torch.manual_seed(0)
    part = trunk(decoder_channels=(32, 32, 32))
    model = HeatmapNet(num_landmarks=2, trunk=part, codec=GaussianHeatmaps())
    criterion, optimizer = (
        HeatmapCriterion(loss=SoftmaxCrossEntropy()),
        torch.optim.AdamW(model.parameters(), 3e-3),
    )
    average = WeightAverage(model, 0.9)
    for step in range(45):
        images, targets = blob_batch(step)
        loss = criterion(model.train()(images, targets), targets, step / 45).total
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        average.update(model)
    images, targets = blob_batch(1000, 16)
    with torch.inference_mode():
        error = (average.model(images).final.points - targets.points).norm(dim=-1) * 64
    assert error.mean() < 2.0


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: trunk(architecture="Unet", encoder="tu-resnet81"), "neither one of .*tu-resnet18"),
        (lambda: trunk(encoder="resnet81"), "'resnet81' is neither .*resnet18"),
        (
            lambda: SmpTrunk(architecture="UNet", encoder=ENCODER, decoder_channels=(8,)),
            "did you mean 'Unet'",
        ),
        (lambda: trunk(encoder="tu-vit_tiny_patch16_224"), r"no maps of strides \[2, 4, 8, 16, 32\]"),
        (
            lambda: trunk(encoder="tu-convnext_atto", stride=2, decoder_channels=(8,) * 4),
            "has no map of stride 2, which Unet at stride 2 reads",
        ),
        (lambda: trunk(stride=3), r"trunk stride 3: Unet of depth 5 can give one of \[1, 2, 4, 8, 16\]"),
        (lambda: trunk("UPerNet", stride=2), "UPerNet with stride=2"),
        (lambda: trunk(decoder_channels=(8, 8)), r"decoder_channels=\[8, 8\]: Unet .* has 3 blocks"),
        (lambda: heatmap_net(trunk(), stride=3), "heatmaps of stride 3 from features of stride 4"),
        (
            lambda: SimccNet(
                num_landmarks=2, backbone=TimmBackbone("resnet10t"), size=(90, 64), codec=SimccCodec()
            ),
            r"SimCC with size=\[90, 64\]",
        ),
    ],
)
def test_wrong_models_are_named(build, message):
    with pytest.raises(ValueError, match=message):
        build()


def test_images_that_the_strides_do_not_divide_are_refused(kind):
    name, model = kind
    if name == "regression":
        return  # takes any size
    with torch.inference_mode(), pytest.raises(ValueError, match=r"images of 94x64 pixels.*expected"):
        model(random_images(1, 94, 64))
