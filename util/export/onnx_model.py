"""Exported models in ONNX Runtime. No PyTorch here."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime

from datasets.files.image_files import SourceImage
from transforms.augment import EvalTransforms
from transforms.sample import Sample
from util.export.metadata import INPUT, OUTPUTS, RAW_INPUT, OnnxMetadata
from util.prediction.landmarks.image_landmarks import (
    ImageLandmarks,
    canvas_sample,
    image_landmarks,
    model_input,
)


class OnnxGraph:
    """One exported graph, ready to run."""

    def __init__(self, content: bytes, file: Path, device: str = "cpu") -> None:
        """``file`` names the model in errors. Raises ValueError unless ``content`` is such a graph."""
        self.file = file
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # errors; what it raises is reported here
        try:
            self._session = onnxruntime.InferenceSession(content, options, providers=_providers(device))
        except Exception as error:  # ONNX Runtime's own classes, one per status code, without a common base
            reason = str(error).strip().partition("\n")[0]
            raise ValueError(f"{file}: ONNX Runtime cannot load it ({reason}). Export it again.") from error
        self.metadata = OnnxMetadata.from_properties(self._session.get_modelmeta().custom_metadata_map, file)
        self._takes_any_batch = self._session.get_inputs()[0].shape[0] != 1

    def __call__(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(B, 1, H, W) float32 in [0, 1] -> points and scales (B, K, 2), normalised.

        A graph made for one image at a time is run B times.
        """
        parts = [images] if self._takes_any_batch else np.split(images, len(images))
        found = [self._run({INPUT: part}) for part in parts]
        points, scales = (np.concatenate(arrays) for arrays in zip(*found, strict=True))
        return points, scales

    def locate(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """A raw graph on one (H, W) uint8 image -> points and scales (K, 2) in its pixels, continuous."""
        return self._run({RAW_INPUT: image})

    def _run(self, feed: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        points, scales = self._session.run(OUTPUTS, feed)
        return np.asarray(points), np.asarray(scales)


def load_graph(file: Path, device: str = "auto") -> OnnxGraph:
    """The graph in ``file``. Raises ValueError for one that is missing, damaged or of another kind."""
    if not file.is_file():
        raise ValueError(f"checkpoint {file} not found. Give a file that tools/pytorch2onnx.py wrote.")
    return OnnxGraph(file.read_bytes(), file, device)


class OnnxPredictor:
    """An exported model with the letterbox that it was evaluated with, or that it has inside."""

    def __init__(self, graph: OnnxGraph) -> None:
        metadata = graph.metadata
        self.landmark_set, self.labels, self.file = metadata.landmark_set, metadata.labels, graph.file
        self._graph, self._transforms = graph, EvalTransforms(metadata.size)

    def __call__(self, images: Sequence[SourceImage]) -> list[ImageLandmarks]:
        """Landmarks of each image, in order. Raises ValueError when a prediction is not finite."""
        if self._graph.metadata.raw:
            return [self._located(image) for image in images]
        samples = [canvas_sample(image, self._transforms) for image in images]
        points, scales = self._graph(model_input(samples))
        return [image_landmarks(*found) for found in zip(samples, points, scales, strict=True)]

    def _located(self, image: SourceImage) -> ImageLandmarks:
        points, scales = self._graph.locate(image.image)
        size = np.array(image.image.shape[::-1])
        return image_landmarks(canvas_sample(image, _as_it_is), points / size, scales / size)


def _providers(device: str) -> list:
    """ONNX Runtime's name for ``device``. Raises ValueError where this machine or its build lacks it."""
    kind, _, index = device.partition(":")
    if kind not in ("auto", "cpu", "cuda") or (index and not (kind == "cuda" and index.isdigit())):
        raise ValueError(f"device {device!r} is unknown, expected auto, cpu, cuda or cuda:N.")
    has_cuda = "CUDAExecutionProvider" in onnxruntime.get_available_providers()
    if kind == "cpu" or (kind == "auto" and not has_cuda):
        return ["CPUExecutionProvider"]
    if not has_cuda:
        raise ValueError(
            f"device {device!r}: this ONNX Runtime has no CUDA. Install onnxruntime-gpu, or use --device cpu."
        )
    return [("CUDAExecutionProvider", {"device_id": int(index or 0)}), "CPUExecutionProvider"]


def _as_it_is(sample: Sample, rng: np.random.Generator) -> Sample:
    return sample
