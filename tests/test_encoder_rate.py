"""The encoder's own learning rate reaches the encoder, and nothing else."""

import pytest
import torch
from torch import nn

from models.backbone import TimmBackbone
from models.masks.losses import MaskCriterion
from models.masks.mask_model import MaskModel, MaskTargets
from models.masks.neck_net import NeckMaskNet
from models.masks.smp_net import SmpMaskNet
from tests.support.small_detr import small_detr
from util.training.optim import parameter_groups
from util.training.settings import TrainSettings

MODELS = {
    "smp": lambda: SmpMaskNet(num_classes=2, architecture="Unet", encoder="tu-resnet10t"),
    "neck": lambda: NeckMaskNet(num_classes=2, backbone=TimmBackbone("resnet10t"), embed_dim=32, fine_dim=16),
}


@pytest.mark.parametrize("build", MODELS.values(), ids=MODELS)
def test_a_rate_of_zero_holds_the_encoder_and_nothing_else(build) -> None:
    torch.manual_seed(0)
    model: MaskModel = build()
    optimizer = torch.optim.SGD(parameter_groups(model, encoder_lr=0.0), lr=0.1)
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    masks = torch.zeros(2, 2, 64, 64, dtype=torch.bool)
    masks[:, :, 16:48, 16:48] = True
    targets = MaskTargets(masks, torch.ones(2, 2, dtype=torch.bool), torch.zeros(2, 0, dtype=torch.int64))
    criterion = MaskCriterion({"bce": 1.0})
    criterion(model(torch.rand(2, 1, 64, 64)), targets, 0.0).total.backward()
    optimizer.step()
    encoder = {id(parameter) for parameter in model.encoder_parameters()}
    for name, parameter in model.named_parameters():
        moved = not torch.equal(parameter, before[name])
        assert moved != (id(parameter) in encoder), name


def test_every_parameter_is_in_one_group_and_vectors_do_not_decay() -> None:
    model = MODELS["smp"]()
    groups = parameter_groups(model, encoder_lr=2e-5)
    optimizer = torch.optim.AdamW(groups, lr=2e-4, weight_decay=0.1)
    assert sorted(id(p) for group in groups for p in group["params"]) == sorted(map(id, model.parameters()))
    assert [group["lr"] for group in optimizer.param_groups] == [2e-4, 2e-4, 2e-5, 2e-5]
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.1, 0.0, 0.1, 0.0]
    assert all(group["params"] for group in groups)


def test_a_backbone_by_that_name_is_an_encoder() -> None:
    model = small_detr()
    counts = [len(group["params"]) for group in parameter_groups(model, encoder_lr=1e-4)]
    assert sum(counts[2:]) == len(list(model.backbone.parameters()))


def test_a_model_without_an_encoder_is_refused() -> None:
    with pytest.raises(ValueError, match="has no encoder of its own"):
        parameter_groups(nn.Linear(2, 2), encoder_lr=1e-4)


@pytest.mark.parametrize("rate", [-1e-4, "2e-5", True])
def test_a_rate_that_is_none_is_refused(rate) -> None:
    with pytest.raises(ValueError, match=r"train\.encoder_lr.*at least 0, or null"):
        TrainSettings(output_dir="runs/x", iterations=1, batch_size=1, encoder_lr=rate)
