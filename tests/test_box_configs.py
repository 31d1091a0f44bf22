"""What ships in configs/boxes/: small experiments train on small images, models can be measured."""

import pytest
import torch

from models.boxes.detector import SalienceDetr
from models.boxes.targets import BoxTargets
from tests.support.run_scripts import ROOT
from tests.support.small_boxes import noise, objects
from util.benchmark.subject import Source
from util.config import instantiate, load_config
from util.training.settings import TrainSettings

SIZE = 96


@pytest.mark.parametrize("name", ["phantom", "teeth"])
def test_a_step_has_a_finite_loss_and_gradients_everywhere(name):
    config = load_config(ROOT / f"configs/boxes/{name}.py", [f"size=[{SIZE},{SIZE}]"])
    assert TrainSettings.from_config(config.train).select == "ap"
    torch.manual_seed(0)
    model = instantiate(config.model, num_classes=3).train()
    channels = next(p.shape[1] for p in model.parameters() if p.ndim == 4)
    sizes = torch.tensor([[SIZE, SIZE]] * 2)
    targets: BoxTargets = objects(3, 0, sizes=sizes)
    report = instantiate(config.criterion)(model(noise(2, channels, SIZE, SIZE), targets), targets, 0.5)
    report.total.backward()
    assert torch.isfinite(report.total)
    parts = {
        name.split(".")[0] for name, p in model.named_parameters() if p.grad is not None and p.grad.any()
    }
    expected = {
        name for name, part in model.named_children() if any(p.requires_grad for p in part.parameters())
    }
    assert parts - {"level_embed"} >= expected - {"refinement"}


@pytest.mark.parametrize("name", ["resnet18", "resnet18_320", "resnet18_640"])
def test_the_benchmark_builds_the_small_detectors(name):
    file = ROOT / f"configs/boxes/models/salience_detr_{name}.py"
    model = Source("model_config", file, (SIZE, SIZE), 3).build(torch.device("cpu"))
    assert isinstance(model, SalienceDetr)
    assert model.num_classes == 3


@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
def test_coco_as_it_lies_trains_a_model_of_our_own(name):
    model = f"configs/boxes/models/salience_detr_{name}.py"
    config = load_config(ROOT / "configs/boxes/train_config.py", [f"model_path={ROOT / model}"])
    alone = load_config(ROOT / model)
    assert config.model.embed_dim == alone.model.embed_dim
    assert config.model.backbone.name == alone.model.backbone.name
