"""What is seen inside a model is what the model does, and looking changes nothing."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from models.deformable_attention import DeformableAttention
from models.encoder import EncoderLayer
from models.landmarks.baselines.heatmap_codec import GaussianHeatmaps
from models.landmarks.decoder import DecoderLayer, Queries
from models.landmarks.landmark_detr import LandmarkDetr
from models.landmarks.prediction import Prediction
from models.landmarks.roi import RoiStage
from models.position import cell_centres
from tests.conftest import TINY_SET
from tests.support.mean_shape_model import MeanShapeModel
from tests.support.small_detr import random_images, small_detr, wake
from util.inspection.chosen_image import chosen_image
from util.inspection.hooks import parts_of, record_calls
from util.inspection.landmarks.gradients import PEAK, gradient_maps
from util.inspection.landmarks.input import landmark_indices
from util.inspection.landmarks.inspect import inspect_model
from util.inspection.landmarks.pictures import most_uncertain
from util.inspection.landmarks.views import Inspection

K = 5
IMAGE = random_images(1)


@pytest.fixture(scope="module")
def model() -> LandmarkDetr:
    detr = small_detr(K)
    wake(detr, 0.05)
    detr.mean_shape.copy_(0.2 + 0.6 * torch.rand(K, 2, generator=torch.Generator().manual_seed(4)))
    return detr.eval()


@pytest.fixture(scope="module")
def inspection(model: LandmarkDetr) -> Inspection:
    return inspect_model(model, IMAGE)


def coordinate_map(height: int, width: int, channels: int = 2) -> Tensor:
    """(1, channels, height, width): every cell holds its own normalised x and y, then zeros."""
    centres = cell_centres(height, width, torch.device("cpu")).T.reshape(1, 2, height, width)
    return torch.cat([centres, torch.zeros(1, channels - 2, height, width)], 1)


def test_looking_changes_no_bit_and_leaves_no_hook(model: LandmarkDetr, inspection: Inspection):
    with torch.inference_mode():
        plain = model(IMAGE).final
    assert torch.equal(inspection.prediction.points, plain.points)
    assert torch.equal(inspection.prediction.log_scale, plain.log_scale)
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in model.modules())


def test_hooks_are_gone_after_a_failure(model: LandmarkDetr):
    with pytest.raises(RuntimeError), record_calls(model.modules()):
        model(torch.zeros(1, 3, 96, 64))
    assert not any(part._forward_hooks for part in model.modules())


def test_attention_sums_to_one(inspection: Inspection):
    assert inspection.landmark_attention is not None
    assert inspection.landmark_attention.shape == (2, 4, K, K)
    np.testing.assert_allclose(inspection.landmark_attention.sum(-1), 1.0, atol=1e-5)
    for view in inspection.sampling:
        np.testing.assert_allclose(view.weights.sum((-2, -1)), 1.0, atol=1e-5)
    for view in inspection.roi:
        np.testing.assert_allclose(view.attention.sum(-1), 1.0, atol=1e-5)


def test_landmark_attention_is_what_the_decoder_applied(model: LandmarkDetr, inspection: Inspection):
    layers = [layer.self_attention for layer in parts_of(model, DecoderLayer)]
    assert inspection.landmark_attention is not None
    with torch.no_grad(), record_calls(layers) as calls:
        model(IMAGE)
    for layer, weights in zip(layers, inspection.landmark_attention, strict=True):
        value = calls[layer].inputs[2][0]  # (K, C)
        dim = value.shape[-1]
        projected = value @ layer.in_proj_weight[2 * dim :].T + layer.in_proj_bias[2 * dim :]
        heads = projected.view(K, layer.num_heads, -1).transpose(0, 1)  # (heads, K, C / heads)
        read = layer.out_proj((torch.from_numpy(weights) @ heads).transpose(0, 1).flatten(1))
        torch.testing.assert_close(read, calls[layer].output[0][0], atol=1e-5, rtol=1e-4)


def test_kept_tokens_are_those_that_the_encoder_updates(model: LandmarkDetr, inspection: Inspection):
    layers = parts_of(model, EncoderLayer)
    with torch.inference_mode(), record_calls(layers) as calls:
        model(IMAGE)
    assert inspection.salience is not None
    updates = inspection.salience.updates
    centres = [cell_centres(*level.shape, torch.device("cpu")).numpy() for level in updates]
    for number, layer in enumerate(layers, start=1):
        seen = np.concatenate([c[level.ravel() >= number] for c, level in zip(centres, updates, strict=True)])
        references = calls[layer].inputs[2][0].numpy()
        assert len(seen) == len(references)
        assert {tuple(point) for point in seen.tolist()} == {tuple(point) for point in references.tolist()}
    assert (updates[-1] > 0).all()  # the coarsest level is kept whole
    assert 0 < (updates[0] > 0).mean() < 0.2


def test_kept_tokens_are_the_most_salient_of_their_level(inspection: Inspection):
    assert inspection.salience is not None
    for salience, updates in zip(inspection.salience.levels, inspection.salience.updates, strict=True):
        if (updates == 0).any():
            assert salience[updates > 0].min() >= salience[updates == 0].max()


def test_the_path_leads_from_the_mean_shape_to_the_prediction(model: LandmarkDetr, inspection: Inspection):
    names = [step.name for step in inspection.path]
    assert names == [
        "mean shape",
        "start",
        *("decoder layer 1", "decoder layer 2"),
        *("ROI stage 1", "ROI stage 2"),
    ]
    np.testing.assert_array_equal(inspection.path[0].points, model.mean_shape.numpy())
    np.testing.assert_array_equal(inspection.path[-1].points, inspection.prediction.points[0].numpy())
    np.testing.assert_array_equal(inspection.path[-1].scale, inspection.prediction.scale[0].numpy())
    befores = [view.references for view in inspection.sampling] + [view.centres for view in inspection.roi]
    afters = [view.after for view in (*inspection.sampling, *inspection.roi)]
    for before, after, previous, step in zip(
        befores, afters, inspection.path[1:], inspection.path[2:], strict=False
    ):
        np.testing.assert_array_equal(before, previous.points)
        np.testing.assert_array_equal(after, step.points)
    assert inspection.absent == ()


@pytest.mark.parametrize(("level", "point"), [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_sampling_points_are_where_the_attention_reads(level: int, point: int):
    """With maps that hold coordinates, and all weight on one point, a head's output is where it has read."""
    torch.manual_seed(5)
    attention = DeformableAttention(8, num_heads=2, num_levels=2, num_points=2)
    wake(attention, 0.3)
    with torch.no_grad():
        for linear in (attention.values, attention.output):
            linear.weight.copy_(torch.eye(8))
            linear.bias.zero_()
        attention.weights.weight.zero_()
        attention.weights.bias.zero_()
        attention.weights.bias.view(2, 2, 2)[:, level, point] = 100.0
    per_head = [coordinate_map(height, width, 4) for height, width in ((40, 30), (24, 20))]
    maps = [torch.cat([m, m], 1) for m in per_head]
    queries, references = torch.randn(1, 3, 8), 0.4 + 0.2 * torch.rand(1, 3, 2)
    with torch.inference_mode():
        read = attention(queries, references, maps).view(1, 3, 2, 4)[..., :2]
        points, weights = attention.look(queries, references, maps)
    assert points.shape == (1, 3, 2, 2, 2, 2)
    torch.testing.assert_close(points[:, :, :, level, point], read, atol=1e-5, rtol=0)
    torch.testing.assert_close(weights[..., level, point], torch.ones(1, 3, 2))


class OnlyRoi(nn.Module):
    """One ROI stage on maps that hold coordinates."""

    def __init__(self) -> None:
        super().__init__()
        self.stage = RoiStage(16, (2,), 0.1, token_dim=16, samples=5)

    def forward(self, images: Tensor) -> "Final":
        queries = Queries(torch.ones(1, 1, 2, 16), torch.tensor([[[[0.4, 0.5], [0.6, 0.45]]]]))
        _, prediction = self.stage(queries, [coordinate_map(60, 40)])
        return Final(Prediction(prediction.points[:, 0], prediction.log_scale[:, 0]))


@dataclass(frozen=True)
class Final:
    final: Prediction


def test_roi_windows_are_where_the_stage_reads():
    only = OnlyRoi().eval()
    with torch.inference_mode(), record_calls([only.stage.tokens]) as calls:
        inspected = inspect_model(only, IMAGE)
    (view,) = inspected.roi
    read = calls[only.stage.tokens].inputs[0][0, 0]  # (K, S, 2)
    np.testing.assert_allclose(view.points, read.numpy(), atol=1e-6)
    np.testing.assert_allclose(view.half, (0.1 * 60 / 40, 0.1))
    np.testing.assert_array_equal(view.after, inspected.prediction.points[0].numpy())


@dataclass(frozen=True)
class MapOutputs:
    final: Prediction
    heatmaps: Tensor
    codec: GaussianHeatmaps


class Maps(nn.Module):
    """Heatmaps that a codec decodes without a gradient, as the heatmap models do."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.backbone, self.head = nn.Conv2d(1, 8, 4, stride=4), nn.Conv2d(8, 3, 1)
        self.codec = GaussianHeatmaps(activation="sigmoid")

    def forward(self, images: Tensor) -> MapOutputs:
        maps = self.head(self.backbone(images))
        return MapOutputs(self.codec.decode(maps.detach()), maps, self.codec)


def test_a_heatmap_model_shows_its_heatmaps_and_says_what_it_lacks():
    maps = Maps().eval()
    inspected = inspect_model(maps, IMAGE)
    assert inspected.heatmaps is not None
    np.testing.assert_allclose(inspected.heatmaps.sum((-2, -1)), 1.0, atol=1e-5)
    with torch.inference_mode():
        expected = maps(IMAGE).heatmaps[0].sigmoid()
    expected = expected / expected.sum((-2, -1), keepdim=True)
    np.testing.assert_allclose(inspected.heatmaps, expected.numpy(), atol=1e-6)
    assert [step.name for step in inspected.path] == ["stage 1"]
    assert inspected.salience is None and not inspected.sampling and not inspected.roi
    assert [sentence.partition(":")[0] for sentence in inspected.absent] == [
        "no salience and kept tokens",
        "no sampling points",
        "no attention between landmarks",
        "no ROI windows",
    ]
    assert {one.score for one in gradient_maps(maps, IMAGE, 1)} == {PEAK}


def test_a_model_without_any_part_shows_its_prediction():
    inspected = inspect_model(MeanShapeModel(4).eval(), IMAGE)
    assert len(inspected.absent) == 5
    assert inspected.path[-1].points.shape == (4, 2)
    with pytest.raises(ValueError, match="no part 'backbone'"):
        gradient_maps(MeanShapeModel(4), IMAGE, 0)


@pytest.mark.parametrize("images", [torch.zeros(2, 1, 96, 64), torch.zeros(1, 3, 96, 64)])
def test_one_grey_image_is_looked_at(model: LandmarkDetr, images: Tensor):
    with pytest.raises(ValueError, match="expected one image"):
        inspect_model(model, images)


def test_a_model_in_training_mode_is_refused():
    with pytest.raises(ValueError, match="training mode"):
        inspect_model(small_detr(2).train(), IMAGE)


def test_the_least_certain_landmarks_come_first(inspection: Inspection):
    radial = inspection.prediction.scale[0].square().sum(-1)
    assert most_uncertain(inspection, 2) == radial.argsort(descending=True)[:2].tolist()


def test_landmarks_by_number_name_and_abbreviation():
    assert landmark_indices(["5", "nose", "LE", "Left Eye", "chin"], TINY_SET) == [4, 2, 0]
    for wrong in ("0", "6", "-1", "noze"):
        with pytest.raises(ValueError, match="tiny5"):
            landmark_indices([wrong], TINY_SET)


def test_one_image_of_a_file(tmp_path: Path):
    picture = np.full((20, 30), 7, np.uint8)
    picture[10:] = 100  # a picture of one grey value is refused
    cv2.imwritemulti(str(tmp_path / "pages.tiff"), [picture, picture + 1])
    cv2.imwrite(str(tmp_path / "one.png"), picture)
    assert chosen_image(tmp_path / "one.png", spacing=[0.5]).spacing.tolist() == [0.5, 0.5]
    assert chosen_image(tmp_path / "pages.tiff", 2).image[0, 0] == 8
    for number, message in ((None, "--slice"), (3, "no image 3"), (0, "no image 0")):
        with pytest.raises(ValueError, match=message):
            chosen_image(tmp_path / "pages.tiff", number)
    with pytest.raises(ValueError, match="no such file"):
        chosen_image(tmp_path / "absent.png")
