"""Exported graphs against the PyTorch models that they come from."""

import argparse
import logging
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import numpy_helper
from torch import Tensor, nn
from torch.nn import functional as F

from datasets.files.image_files import SourceImage
from datasets.landmarks.landmark_set import LandmarkSet, load_landmark_set
from measurements.shapes import LandmarkShapes
from models.deformable_attention import DeformableAttention
from models.encoder import SalienceEncoder
from models.landmarks.decoder import LandmarkDecoder
from tasks.landmarks import LandmarkTask
from tests.support.centroid_model import centroid_model, write_centroid_checkpoint
from tests.support.faces import E2
from tests.support.run_script import TRUSTED
from tests.support.small_detr import DIM, any_modes, random_images, small_detr, wake
from transforms.augment import EvalTransforms
from util.checkpoints.checkpoint import load_checkpoint, load_model, save_checkpoint
from util.export.landmarks.export import describe
from util.export.landmarks.graph import GraphOptions, Landmarks, export_graph, with_metadata
from util.export.landmarks.letterbox import letterbox
from util.export.landmarks.metadata import OnnxMetadata
from util.export.landmarks.onnx_model import OnnxGraph, OnnxPredictor, load_graph
from util.export.landmarks.precision import halved, quantised
from util.export.landmarks.verify import verify
from util.export.operators import TRANSLATIONS, pool_windows
from util.export.program import advice_unheard
from util.prediction.landmarks.image_landmarks import canvas_sample
from util.prediction.landmarks.plausibility import Limits, as_reference
from util.prediction.landmarks.predict import LandmarkPredictor, Predictor
from util.prediction.landmarks.protocol import ProtocolOffsets

SIZE = (96, 64)  # (height, width)
SET = LandmarkSet("own", ("one", "two"), ("I", "II"), note="made up")
METADATA = OnnxMetadata(
    landmark_set=SET,
    labels="mean",
    size=SIZE,
    mean=0.45,
    std=0.25,
    precision="fp32",
    raw=False,
    checkpoint="runs/x/best.pt",
    commit=None,
)


def graph_of(proto: onnx.ModelProto, *, raw: bool = False) -> OnnxGraph:
    return OnnxGraph(with_metadata(proto, replace(METADATA, raw=raw)), Path("model.onnx"))


@pytest.fixture(scope="session")
def detr() -> nn.Module:
    model = small_detr(len(SET), search_window=0.05)
    model.search.learn(*any_modes(len(SET)))
    model.encoder = SalienceEncoder(DIM, num_heads=4)
    model.decoder = LandmarkDecoder(DIM, num_heads=4, num_layers=1)
    wake(model, 0.02)
    with torch.no_grad():  # statistics of BatchNorm as training leaves them: else nothing reaches the points
        for _ in range(20):
            model.train()(random_images(4, *SIZE))
    return model.eval()


@pytest.fixture(scope="session")
def detr_proto(detr: nn.Module) -> onnx.ModelProto:
    """The landmark DETR for any batch size. Its export takes seconds: copy before changing."""
    return export_graph(detr, SIZE, GraphOptions(dynamic=True))


@pytest.fixture(scope="session")
def small_proto() -> onnx.ModelProto:
    """``centroid_model`` for one image at a time."""
    return export_graph(centroid_model(len(SET)), SIZE, GraphOptions())


@pytest.mark.slow
@pytest.mark.parametrize("batch", [1, 2, 5])
def test_the_whole_model_says_the_same_at_every_batch_size(
    detr: nn.Module, detr_proto: onnx.ModelProto, batch: int
):
    images = random_images(batch, *SIZE)
    with torch.inference_mode():
        expected = Landmarks(detr)(images)
    for found, wanted in zip(graph_of(detr_proto)(images.numpy()), expected, strict=True):
        assert found.shape == (batch, len(SET), 2)
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)


def test_a_graph_measures_and_flags_as_its_checkpoint(tmp_path: Path):
    """Shapes, calibration, protocol and limits: the same landmark file but for its numbers' last digits."""
    loaded = load_model(adapted_checkpoint(tmp_path / "best.pt"), packages=TRUSTED)
    metadata = describe(loaded, raw=False, precision="fp32")
    file = tmp_path / "model.onnx"
    file.write_bytes(with_metadata(export_graph(loaded.model, SIZE, GraphOptions()), metadata))
    expected = landmark_file(LandmarkPredictor(loaded))
    found = landmark_file(LandmarkTask().graph_predictor(file, "cpu"))
    assert found["about"] == expected["about"]
    assert found["about"]["landmark_shapes"]["source"] == "two readers"
    assert found["about"]["labels"].endswith("clinic labels")
    assert_alike(found["images"], expected["images"])
    widths = [record["sd"] for record in found["images"][0]["analyses"][0]["measurements"] if record["sd"]]
    assert len(widths) >= 6  # of eight


def adapted_checkpoint(file: Path) -> Path:
    """Landmarks of the face E2 with all that a checkpoint can carry."""
    landmarks = load_landmark_set("isbi19")
    face = E2[:19] / E2[:19].max(0) * 0.8
    shapes = LandmarkShapes(
        landmarks.abbreviations, face, np.tile([[1.8, 0.3], [0.3, 0.2]], (19, 1, 1)), "two readers"
    )
    offset = np.random.default_rng(0).normal(0.0, 0.03, (19, 2))
    protocol = ProtocolOffsets(
        face, offset, np.full(19, 1e-3), np.full(19, 1.5), films=5, labels="clinic", canvas=SIZE[::-1]
    )
    write_centroid_checkpoint(file, landmarks, size=SIZE, folder=file.parent)
    content = load_checkpoint(file)
    content["weights"]["mean_shape"] = torch.from_numpy(face).float()
    carried = {
        "labels": "mean, following 5 films of clinic labels",
        "calibration": 1.3,
        "landmark_shapes": shapes.to_dict(),
        "plausibility": Limits(as_reference(face), 0.3, 0.02, 30.0, ("A", "F"), "nothing").to_dict(),
        "protocol": protocol.to_dict(),
    }
    save_checkpoint(file, content | carried)
    return file


def landmark_file(predictor: Predictor) -> dict[str, Any]:
    """What inference.py --analysis isbi2015 writes of one image."""
    task, parser = LandmarkTask(), argparse.ArgumentParser()
    task.add_inference_arguments(parser)
    inferring = task.inferring(predictor, parser.parse_args(["--analysis", "isbi2015"]))
    grey = np.random.default_rng(0).integers(0, 255, (192, 128), np.uint8)
    image = SourceImage(grey, np.full(2, 0.5), Path("x.png"), None, "--spacing")
    (found,) = inferring([image])
    return {"about": inferring.answers.about(), "images": [inferring.answers.record(image, found)]}


def assert_alike(found: Any, expected: Any) -> None:
    """The same JSON but for a thousandth in its numbers."""
    if isinstance(found, dict):
        assert found.keys() == expected.keys()
        for key, value in found.items():
            assert_alike(value, expected[key])
    elif isinstance(found, list):
        for one, other in zip(found, expected, strict=True):
            assert_alike(one, other)
    elif isinstance(found, float):
        assert found == pytest.approx(expected, rel=1e-3, abs=1e-3)
    else:
        assert found == expected


def test_the_graph_is_one_file_of_standard_operators(detr_proto: onnx.ModelProto):
    assert {node.domain for node in detr_proto.graph.node} == {""}
    assert not any(tensor.external_data for tensor in detr_proto.graph.initializer)
    onnx.checker.check_model(detr_proto, full_check=True)


def test_a_sound_graph_is_verified(detr: nn.Module, detr_proto: onnx.ModelProto):
    assert verify(graph_of(detr_proto), detr, [source((120, 70))]) <= 1e-3


@pytest.mark.parametrize("factor", [1.05, math.nan])
def test_a_graph_that_was_tampered_with_is_refused(
    detr: nn.Module, detr_proto: onnx.ModelProto, factor: float
):
    tampered = onnx.ModelProto()
    tampered.CopyFrom(detr_proto)
    kernel = next(tensor for tensor in tampered.graph.initializer if len(tensor.dims) == 4)
    kernel.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(kernel) * np.float32(factor), kernel.name))
    with pytest.raises(ValueError, match=r"model\.onnx: ONNX Runtime and PyTorch differ by .* px"):
        verify(graph_of(tampered), detr, [])


class ReadMaps(nn.Module):
    """Deformable attention with everything as input but the weights."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.attention = DeformableAttention(8, num_heads=2, num_levels=2, num_points=3)
        wake(self.attention, 0.5)

    def forward(self, queries: Tensor, references: Tensor, fine: Tensor, coarse: Tensor) -> Tensor:
        return self.attention(queries, references, [fine, coarse])


def test_deformable_attention_exports_as_it_is_also_beyond_the_edges():
    """References and offsets of several cells lead far outside of the maps, where zeros are read."""
    generator = torch.Generator().manual_seed(1)
    shapes = ((2, 6, 8), (2, 6, 2), (2, 8, 7, 5), (2, 8, 4, 3))
    inputs = [torch.randn(shape, generator=generator) for shape in shapes]
    inputs[1] = inputs[1] * 0.5 + 0.5
    module = ReadMaps().eval()
    with torch.no_grad():
        program = torch.onnx.export(module, tuple(inputs), dynamo=True, external_data=False, verbose=False)
        expected = module(*inputs)
    session = onnxruntime.InferenceSession(program.model_proto.SerializeToString())
    names = [value.name for value in session.get_inputs()]
    (found,) = session.run(None, {name: value.numpy() for name, value in zip(names, inputs, strict=True)})
    np.testing.assert_allclose(found, expected, atol=1e-5)


class Translated(nn.Module):
    """The operators that ``util.export.operators`` writes itself."""

    def forward(self, values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        pooled = F.adaptive_max_pool2d(values, (8, 7))
        return (
            pooled,
            values.flatten(1).logsumexp(-1),
            pooled.flatten(1).sort(stable=True, descending=True)[1],
        )


def test_translated_operators_are_those_of_pytorch():
    """Also on equal values, which the sort must leave in order, and in a sum of thousands."""
    values = torch.randint(0, 20, (2, 1, 128, 104), generator=torch.Generator().manual_seed(0)) / 2.0
    program = torch.onnx.export(
        Translated().eval(), (values,), dynamo=True, verbose=False, custom_translation_table=TRANSLATIONS
    )
    session = onnxruntime.InferenceSession(program.model_proto.SerializeToString())
    pooled, total, order = session.run(None, {session.get_inputs()[0].name: values.numpy()})
    expected = Translated()(values.double())
    np.testing.assert_array_equal(pooled, expected[0])
    np.testing.assert_allclose(total, expected[1], rtol=2e-7)
    np.testing.assert_array_equal(order, expected[2])


@pytest.mark.parametrize(("size", "count"), [(104, 7), (64, 8), (5, 5), (7, 3), (3, 5)])
def test_pooling_windows_are_those_of_pytorch(size: int, count: int):
    values = torch.rand(1, size, generator=torch.Generator().manual_seed(0))
    expected = F.adaptive_max_pool1d(values, count)
    np.testing.assert_array_equal(values.numpy()[:, pool_windows(size, count)].max(-1), expected)


def source(size: tuple[int, int], spacing: float = 0.1) -> SourceImage:
    """Noise of (height, width) = ``size``."""
    pixels = np.random.default_rng(0).integers(0, 256, size, np.uint8)
    return SourceImage(pixels, np.full(2, spacing), Path("x.png"), None)


SOURCES = [source(size) for size in ((96, 64), (300, 130), (130, 300), (20, 30), (1200, 800))]


@pytest.mark.parametrize("image", SOURCES, ids=lambda image: str(image.image.shape))
def test_the_letterbox_of_the_graph_is_that_of_the_transforms(image: SourceImage):
    """Grey values differ by the rounding of OpenCV's fixed-point blur, by no more."""
    expected = canvas_sample(image, EvalTransforms(SIZE)).image.astype(np.float64)
    sides = torch.tensor(image.image.shape[::-1])
    canvas = torch.tensor(SIZE[::-1])
    zoom = (canvas / sides).min()
    found = letterbox(torch.from_numpy(image.image), SIZE, zoom, (canvas - zoom * sides) / 2).numpy()
    difference = np.abs(found - expected)
    assert difference.mean() < 0.5 and difference.max() < 3.0


def test_a_raw_graph_answers_in_pixels_of_images_of_any_size():
    model = centroid_model(len(SET))
    raw = graph_of(export_graph(model, SIZE, GraphOptions(raw=True)), raw=True)
    assert verify(raw, model, SOURCES) <= 1e-3
    letterboxed = OnnxPredictor(graph_of(export_graph(model, SIZE, GraphOptions(dynamic=True))))
    expected = letterboxed(SOURCES)
    for image, one, other in zip(SOURCES, OnnxPredictor(raw)(SOURCES), expected, strict=True):
        tolerance = 0.01 * max(image.image.shape) / min(SIZE)
        np.testing.assert_allclose(one.points, other.points, atol=tolerance)
        np.testing.assert_allclose(one.uncertainty_mm, other.uncertainty_mm, rtol=1e-3)


@pytest.mark.parametrize(("text", "threads"), [("3", 3), ("2,1", 2), (None, 0), ("many", 0)])
def test_a_graph_runs_in_as_many_threads_as_the_environment_says(small_proto, monkeypatch, text, threads):
    """0: as many as there are cores."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if text is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", text)
    assert graph_of(small_proto)._session.get_session_options().intra_op_num_threads == threads


def test_a_graph_for_one_image_takes_batches_one_by_one(small_proto: onnx.ModelProto):
    images = random_images(3, *SIZE)
    with torch.inference_mode():
        expected = Landmarks(centroid_model(len(SET)))(images)
    found = graph_of(small_proto)(images.numpy())
    assert small_proto.graph.input[0].type.tensor_type.shape.dim[0].dim_value == 1
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_the_metadata_come_back_as_they_were_written(small_proto: onnx.ModelProto):
    graph = graph_of(small_proto)
    assert graph.metadata == METADATA
    predictor: Predictor = OnnxPredictor(graph)
    assert (predictor.landmark_set, predictor.labels) == (SET, "mean")
    properties = METADATA.to_properties()
    assert "[0, 1]" in properties["input"] and "centred" in properties["letterbox"]
    assert "pixels of the image" in replace(METADATA, raw=True).to_properties()["output"]


def test_half_precision_ends_where_the_image_is_described():
    model = centroid_model(len(SET))
    half = halved(model)
    images = random_images(2, *SIZE)
    with torch.inference_mode():
        expected, found = model(images).final, half(images).final
    types = {parameter.dtype for parameter in half.backbone.parameters()}
    assert types == {torch.float16} and found.points.dtype == torch.float32
    assert next(model.parameters()).dtype == torch.float32, "the model itself must stay as it was"
    np.testing.assert_allclose(found.points, expected.points, atol=1e-3)
    assert not torch.equal(found.points, expected.points)


def test_int8_quantises_the_backbone_and_stays_near(small_proto: onnx.ModelProto):
    model = centroid_model(len(SET))
    images = random_images(4, *SIZE).numpy()
    small = quantised(small_proto, model, [{"images": image[None]} for image in images])
    kinds = {tensor.data_type for tensor in small.graph.initializer}
    assert onnx.TensorProto.INT8 in kinds and onnx.TensorProto.UINT8 in kinds
    points, _ = graph_of(small)(images)
    exact, _ = graph_of(small_proto)(images)
    assert 0.0 < np.abs(points - exact).max() < 0.02


@pytest.mark.parametrize("lower", [halved, lambda model: quantised(onnx.ModelProto(), model, [])])
def test_a_model_of_other_parts_keeps_its_precision(lower):
    with pytest.raises(ValueError, match=r"Sequential has the parts \['0'\], expected one of"):
        lower(nn.Sequential(nn.Linear(2, 2)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"opset": 11}, "opset 11: expected 18 to 23"),
        ({"raw": True, "dynamic": True}, "one image at a time"),
    ],
)
def test_options_that_cannot_be_are_refused(options: dict, message: str):
    with pytest.raises(ValueError, match=message):
        GraphOptions(**options)


def test_a_file_that_is_no_such_graph_is_named(tmp_path: Path, small_proto: onnx.ModelProto):
    file = tmp_path / "model.onnx"
    with pytest.raises(ValueError, match=r"model\.onnx not found"):
        load_graph(file)
    content = with_metadata(small_proto, METADATA)
    file.write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match=r"model\.onnx: ONNX Runtime cannot load it"):
        load_graph(file)
    foreign = onnx.ModelProto()
    foreign.CopyFrom(small_proto)
    del foreign.metadata_props[:]
    file.write_bytes(foreign.SerializeToString())
    with pytest.raises(ValueError, match=r"model\.onnx: its metadata .* Export it with"):
        load_graph(file)


@pytest.mark.parametrize(("device", "message"), [("gpu", "is unknown"), ("cpu:1", "is unknown")])
def test_a_device_that_is_not_there_is_refused(small_proto: onnx.ModelProto, device: str, message: str):
    with pytest.raises(ValueError, match=message):
        OnnxGraph(with_metadata(small_proto, METADATA), Path("model.onnx"), device)


def test_an_export_leaves_the_log_as_it_was(caplog) -> None:
    @advice_unheard()
    def failing() -> None:
        logging.getLogger("exporter").warning("advice")
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        failing()
    logging.getLogger("inference").warning("heard")
    assert [record.message for record in caplog.records] == ["heard"]
