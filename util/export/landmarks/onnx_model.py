"""Exported models in ONNX Runtime. No PyTorch here."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from datasets.files.image_files import SourceImage
from transforms.augment import EvalTransforms
from transforms.geometry import scale
from transforms.move import Move
from transforms.sample import Sample
from util.export.landmarks.metadata import INPUT, OUTPUTS, RAW_INPUT, OnnxMetadata
from util.export.session import open_session, properties_of, read_graph
from util.prediction.landmarks.image_landmarks import (
    ImageLandmarks,
    canvas_sample,
    image_landmarks,
    model_input,
)
from util.prediction.landmarks.predict import Predictor


class OnnxGraph:
    """One exported graph, ready to run."""

    def __init__(self, content: bytes, file: Path, device: str = "cpu") -> None:
        """``file`` names the model in errors. Raises ValueError unless ``content`` is such a graph."""
        self.file = file
        self._session = open_session(content, file, device)
        self.metadata = OnnxMetadata.from_properties(properties_of(self._session), file)
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
    return OnnxGraph(read_graph(file), file, device)


class OnnxPredictor(Predictor):
    """An exported model with the letterbox that it was evaluated with, or that it has inside."""

    def __init__(self, graph: OnnxGraph) -> None:
        metadata = graph.metadata
        super().__init__(metadata.landmark_set, metadata.labels, graph.file, metadata.landmark_shapes)
        self._graph, self._transforms = graph, EvalTransforms(metadata.size)

    def __call__(self, images: Sequence[SourceImage]) -> list[ImageLandmarks]:
        """Landmarks of each image, in order. Raises ValueError when a prediction is not finite."""
        if self._graph.metadata.raw:
            return [self._located(image) for image in images]
        samples = [canvas_sample(image, self._transforms) for image in images]
        points, scales = self._graph(model_input(samples))
        return [image_landmarks(*found) for found in zip(samples, points, scales, strict=True)]

    def _located(self, image: SourceImage) -> ImageLandmarks:
        """By a graph with the letterbox inside, which takes pixels for square: so they are made so."""
        sample = canvas_sample(image, _in_square_pixels)
        points, scales = self._graph.locate(sample.image)
        size = np.array(sample.size)
        return image_landmarks(sample, points / size, scales / size)


def _in_square_pixels(sample: Sample, rng: np.random.Generator) -> Sample:
    shape = sample.pixel_shape
    if (shape == 1.0).all():
        return sample
    width, height = (max(round(side), 1) for side in shape * sample.size)
    return sample.moved(Move(scale(*shape), (width, height)))
