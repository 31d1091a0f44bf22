"""The landmark DETR as a whole."""

import functools
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

from models.landmarks.landmark_detr import LandmarkDetr
from models.landmarks.losses import LandmarkCriterion
from models.landmarks.prediction import Targets
from tests.support.configs import CONFIGS
from tests.support.run_tool import ROOT
from tests.support.small_detr import any_modes, draw_blobs, random_images, random_targets, small_detr, wake
from util.config import instantiate, load_config

DETR_CONFIGS = [file for file in CONFIGS if "landmark_detr" in str(load_config(ROOT / file).get("model"))]


@pytest.fixture
def model() -> LandmarkDetr:
    """In evaluation mode, with every part at work."""
    detr = small_detr(search_window=0.05)
    assert detr.search is not None
    detr.search.learn(*any_modes())
    wake(detr)
    return detr.eval()


@functools.cache
def check_forward(model_config: str) -> None:
    """Build what the YAML says and run it on 96 x 64 pixels; experiments share models, so once for each."""
    detr: LandmarkDetr = instantiate(OmegaConf.create(model_config), num_landmarks=7).eval()
    with torch.no_grad():
        outputs = detr(random_images(2, 96, 64))
    assert len(outputs.predictions) == len(detr.decoder.layers) + len(detr.roi)
    for stage in outputs.predictions:
        assert stage.points.shape == stage.log_scale.shape == (2, 7, 2)
        assert stage.points.dtype == stage.log_scale.dtype == torch.float32
        assert stage.points.isfinite().all() and stage.log_scale.isfinite().all()
    assert outputs.heatmaps.shape == (2, 7, 24, 16) and outputs.denoised == ()


@pytest.mark.parametrize("file", DETR_CONFIGS)
def test_the_model_of_every_config_builds_and_runs(file):
    """On a small canvas: the weights do not depend on it, and a backbone that does gets it from ``size``."""
    overrides = ["size=[96, 64]"]
    if load_config(file).model.get("roi_windows") == "auto":  # main.py finds these numbers by the data
        overrides += ["model.roi_windows=[0.03, 0.01]", "model.jitter=[0.02, 0.35]"]
    if load_config(file).model.get("search_window") == "auto":
        overrides += ["model.search_window=0.01"]
    check_forward(OmegaConf.to_yaml(load_config(file, overrides).model))


def test_a_canvas_that_does_not_divide_is_refused(model):
    with pytest.raises(ValueError, match=r"96x80 pixels.*multiples of 32"):
        model(random_images(1, 96, 80))


def test_under_autocast_coordinates_stay_float32(model):
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        outputs = model(random_images(2), random_targets(2))
    assert outputs.heatmaps.dtype == torch.float32
    for stage in (*outputs.predictions, *outputs.denoised):
        assert stage.points.dtype == stage.log_scale.dtype == torch.float32
        rounded = stage.points == stage.points.bfloat16().float()
        assert rounded.float().mean() < 0.2  # float32 by its digits, not only by its type


def test_a_prediction_does_not_depend_on_its_batch_mates(model):
    images = random_images(3)
    with torch.no_grad():
        together = model(images).final
        alone = [model(images[i : i + 1]).final for i in range(3)]
    assert torch.allclose(together.points, torch.cat([one.points for one in alone]), atol=1e-4)
    assert torch.allclose(together.log_scale, torch.cat([one.log_scale for one in alone]), atol=1e-3)
    assert (together.points[0] - together.points[1]).abs().max() > 0.01  # the images do matter


def test_training_mode_predicts_what_evaluation_mode_does():
    detr = small_detr(name="resnet18", norm="group")
    wake(detr, 0.02)
    with torch.no_grad():
        training, evaluation = detr.train()(random_images(2)), detr.eval()(random_images(2))
    for one, other in zip(training.predictions, evaluation.predictions, strict=True):
        assert torch.allclose(one.points, other.points, atol=1e-5)


def test_targets_do_not_leak_into_the_predictions(model):
    images = random_images(2)
    with torch.no_grad():
        blind, seeing = model(images), model(images, random_targets(2))
    assert len(seeing.denoised) == len(seeing.predictions)
    for one, other in zip(blind.predictions, seeing.predictions, strict=True):
        assert torch.allclose(one.points, other.points, atol=1e-5)


def test_permuting_the_landmarks_permutes_the_predictions(model):
    order, images = torch.tensor([3, 0, 4, 1, 2]), random_images(2)
    model.mean_shape.uniform_(0.2, 0.8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        before = model(images).final.points
        of_landmarks = (model.mean_shape, model.start.content, model.heatmap.classify.weight)
        for tensor in (*of_landmarks, model.search.shape):
            tensor.copy_(tensor[order].clone())
        gains = model.search.gains.unflatten(2, (5, 2)).unflatten(1, (5, 2))
        model.search.gains.copy_(gains[:, order][:, :, :, order].flatten(3, 4).flatten(1, 2))
        assert torch.allclose(model(images).final.points, before[:, order], atol=1e-5)
    assert not torch.allclose(before, before[:, order], atol=1e-3)


def test_denoising_starts_at_the_truth_plus_jitter_and_missing_landmarks_at_their_own_start():
    """A fresh head moves nothing, so the first denoised stage is the start."""
    detr = small_detr(num_landmarks=40)
    targets = random_targets(8, 40)
    targets.points[:, 0] = math.nan
    targets = replace(targets, present=~targets.points.isnan().any(-1))
    with torch.no_grad():
        outputs = detr(random_images(8), targets)
    noise = (outputs.denoised[0].points - targets.points)[:, 1:].abs()
    assert noise.mean().item() == pytest.approx(detr.jitter[0], rel=0.15)  # E|x| of Laplace(b) is b
    assert torch.equal(outputs.denoised[0].points[:, 0], outputs.predictions[0].points[:, 0])


def test_every_parameter_learns():
    detr = small_detr().train()
    optimizer = torch.optim.AdamW(detr.parameters(), lr=1e-3)
    images, targets, criterion = random_images(2), random_targets(2), LandmarkCriterion()
    for _ in range(3):  # what starts at zero passes nothing on before it has moved
        optimizer.zero_grad(set_to_none=True)
        criterion(detr(images, targets), targets, 1.0).total.backward()
        optimizer.step()
    silent = {name for name, p in detr.named_parameters() if p.grad is None or not p.grad.any()}
    assert not silent


@pytest.mark.parametrize("missing", ["some", "all"])
def test_missing_landmarks_reach_neither_loss_nor_gradient(missing):
    detr = small_detr().train()
    wake(detr, 0.02)
    targets = random_targets(2)
    targets.points[0, 1:3] = math.nan
    targets.points[1, 4, 0] = math.nan
    if missing == "all":
        targets.points.fill_(math.nan)
    targets = Targets(targets.points, ~targets.points.isnan().any(-1), targets.mm_per_unit)
    report = LandmarkCriterion()(detr(random_images(2), targets), targets, 1.0)
    report.total.backward()
    assert report.total.isfinite() and all(part.isfinite() for part in report.parts.values())
    gradients = [p.grad for p in detr.parameters() if p.grad is not None]
    assert gradients and all(gradient.isfinite().all() for gradient in gradients)
    assert any(gradient.any() for gradient in gradients) == (missing == "some")


@pytest.mark.slow
def test_one_image_is_memorised_to_less_than_half_a_pixel():
    pixels, steps = np.array([[22.3, 30.8], [60.1, 25.4], [40.7, 66.6]]), 60
    image = torch.from_numpy(draw_blobs(pixels, np.array([2.0, 3.0, 4.0]), (96, 96))).float()[None, None]
    points = torch.from_numpy(pixels / 96).float()[None]
    targets = Targets(points, torch.ones(1, 3, dtype=torch.bool), torch.full((1, 2), 100.0))
    detr, criterion = small_detr(3, name="resnet18", norm="group").train(), LandmarkCriterion()
    optimizer = torch.optim.AdamW(detr.parameters(), lr=2e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, steps)
    for step in range(steps):
        optimizer.zero_grad()
        criterion(detr(image, targets), targets, step / steps).total.backward()
        torch.nn.utils.clip_grad_norm_(detr.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    with torch.no_grad():
        error = (detr.eval()(image).final.points - points).norm(dim=-1) * 96
    assert error.max() < 0.5


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["embed_dim=30"], "embed_dim=30 with num_heads=5: expected a multiple of 4 .*to 40 for instance"),
        (["embed_dim=160", "model.decoder.num_heads=3"], "embed_dim=160 with num_heads=3"),
    ],
)
def test_a_width_that_does_not_divide_is_refused_when_the_model_is_built(overrides, message):
    config = load_config(ROOT / "configs/models/landmark_detr_resnet50.py", overrides).model
    with pytest.raises(ValueError, match=message):
        instantiate(config, num_landmarks=5)
