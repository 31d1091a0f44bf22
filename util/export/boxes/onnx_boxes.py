"""An exported detector in ONNX Runtime. No PyTorch here."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from datasets.files.image_files import SourceImage
from transforms.augment import EvalTransforms
from util.export.boxes.facts import INPUT, OUTPUTS, BoxGraphFacts
from util.export.session import open_session, properties_of, read_graph
from util.prediction.boxes.answers import BoxAnswers
from util.prediction.boxes.image_boxes import FoundBoxes, found_boxes, source_sample

Arrays = tuple[np.ndarray, np.ndarray, np.ndarray]  # boxes (B, D, 4), scores and labels (B, D)


class BoxGraph:
    """One exported graph, ready to run."""

    def __init__(self, content: bytes, file: Path, device: str = "cpu") -> None:
        """``file`` names the model in errors. Raises ValueError unless ``content`` is such a graph."""
        self.file = file
        self._session = open_session(content, file, device)
        self.facts = BoxGraphFacts.from_properties(properties_of(self._session), file)
        self._takes_any_batch = self._session.get_inputs()[0].shape[0] != 1

    def __call__(self, images: np.ndarray) -> Arrays:
        """(B, C, H, W) float32 in [0, 1] -> detections. A graph made for one image is run B times."""
        parts = [images] if self._takes_any_batch else np.split(images, len(images))
        found = [self._session.run(OUTPUTS, {INPUT: part}) for part in parts]
        boxes, scores, labels = (np.concatenate(list(map(np.asarray, a))) for a in zip(*found, strict=True))
        return boxes, scores, labels


class GraphBoxPredictor:
    """An exported detector with its letterbox (``util.prediction.protocols.Predictor``)."""

    def __init__(self, graph: BoxGraph) -> None:
        self._graph, self.file = graph, graph.file
        self._transforms = EvalTransforms(graph.facts.size)
        self.answers = BoxAnswers(graph.facts.box_classes)

    def __call__(self, images: Sequence[SourceImage]) -> list[FoundBoxes]:
        """Boxes of each image, in order. Raises ValueError when a prediction is not finite."""
        rng = np.random.default_rng(0)  # evaluation draws nothing
        colour = self._graph.facts.channels == 3
        classes = self.answers.classes
        samples = [self._transforms(source_sample(i, classes, colour=colour), rng) for i in images]
        return found_boxes(self._graph(model_input([sample.image for sample in samples])), samples)


def model_input(pictures: Sequence[np.ndarray]) -> np.ndarray:
    """(H, W) or (H, W, 3) uint8 canvases -> (B, C, H, W) float32 in [0, 1]."""
    stacked = np.stack([np.atleast_3d(picture) for picture in pictures])
    return np.moveaxis(stacked, -1, 1).astype(np.float32) / np.float32(255.0)


def load_graph(file: Path, device: str) -> GraphBoxPredictor:
    """The detector in ``file``. Raises ValueError for one that is missing, damaged or of another kind."""
    return GraphBoxPredictor(BoxGraph(read_graph(file), file, device))
