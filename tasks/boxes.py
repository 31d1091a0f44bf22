"""Boxes: objects of some classes, each with its place and its score.

PyTorch and matplotlib are imported where they are used.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from datasets.boxes.class_set import BoxClasses
from datasets.boxes.meaning import BoxMeaning
from datasets.sides import in_words
from util.config import instantiate
from util.files import sha256
from util.prediction.boxes.looks import BoxLooks, add_arguments
from util.training.task import Criterion, Headline, Say, Task, Transforms

if TYPE_CHECKING:
    from datasets.boxes.batch import BoxBatch
    from datasets.boxes.box_dataset import BoxDataset
    from datasets.boxes.sample import BoxSample
    from datasets.files.image_files import SourceImage
    from models.boxes.targets import BoxTargets
    from util.checkpoints.checkpoint import LoadedModel
    from util.evaluation.boxes.box_evaluation import BoxEvaluation
    from util.evaluation.boxes.box_results import BoxEvaluator, BoxResults
    from util.export.boxes.onnx_boxes import GraphBoxPredictor
    from util.prediction.boxes.predict import BoxPredictor
    from util.prediction.protocols import Predictor

logger = logging.getLogger(__name__)


class BoxTask(Task):
    """Objects of K classes in any number on every image; some images may have none."""

    name = "boxes"
    criteria: ClassVar[Mapping[str, Criterion]] = {
        "ap": lambda headline: -(headline["ap"] or 0.0),
        "ap50": lambda headline: -(headline["ap50"] or 0.0),
    }

    # Data

    def open_data(
        self, folder: str | Path, subset: str, transforms: Transforms | None = None, seed: int = 0
    ) -> BoxDataset:
        """A prepared folder, or COCO in its usual folders."""
        from datasets.boxes.box_dataset import open_boxes

        return open_boxes(folder, subset, transforms, seed)

    def collate(self, samples: Sequence[BoxSample]) -> BoxBatch:
        from datasets.boxes.batch import collate_boxes

        return collate_boxes(samples)

    def require_trainable(self, data: BoxDataset) -> None:
        """Raise ValueError if there is no object: neither can it be learned from, nor choose a checkpoint."""
        if not any((~record.ignored).any() for record in data.records):
            raise ValueError(
                f"{data.folder}: no object on the {len(data)} images of {data.subset!r}, expected at least "
                "one. Choose another subset, or more images of it."
            )

    # Model

    def meaning(self, data: BoxDataset) -> BoxMeaning:
        return BoxMeaning(data.classes)

    def meaning_of(self, checkpoint: Mapping[str, Any], file: Path) -> BoxMeaning:
        return BoxMeaning.from_dict(checkpoint, file)

    def require_same(self, meaning: BoxMeaning, data: BoxDataset, file: Path) -> None:
        """Raise ValueError unless the classes are the same, in the same order."""
        trained, there = meaning.classes, data.classes
        if trained.names != there.names:
            missing = sorted(set(trained.names) ^ set(there.names))[:5]
            told = f"{', '.join(missing)} differ" if missing else "in another order"
            advice = "Use data with the same classes."
            if not missing:
                advice = "Prepare the data with the classes in the model's order (--classes of YOLO and VOC)."
            raise ValueError(
                f"{file}: trained on {len(trained)} classes, {data.folder} has {len(there)} in "
                f"{data.subset!r} ({told}). {advice}"
            )

    def build_model(self, config: Any, meaning: BoxMeaning) -> Any:
        return instantiate(config, num_classes=len(meaning.classes))

    def begin(self, model: Any, data: BoxDataset) -> None:
        """Say what a mirror image of ``data`` exchanges, and what of them the model cannot learn or see."""
        from util.training.boxes.doubts import doubts

        logger.info("%s: %s", data.folder, in_words(data.classes.names, data.classes.pairs))
        for sentence in doubts(model, _channels(model), data):
            logger.warning("%s: %s", data.folder, sentence)

    def take_foreign_weights(
        self, model: Any, file: Path, meaning: BoxMeaning, parts: Sequence[str] | None = None
    ) -> str | None:
        """Published Salience-DETR weights."""
        from util.checkpoints.boxes.published_start import take_start

        return take_start(model, file, meaning.classes, parts)

    def foreign_model(self, config: Any, file: Path) -> tuple[Any, BoxMeaning] | None:
        """With published weights; classes are category ids, as the file numbers them."""
        from util.checkpoints.boxes.published_start import published_model

        return published_model(self, config, file)

    def fitted(self, meaning: BoxMeaning, data: BoxDataset, file: Path) -> BoxDataset:
        """``data`` with the labels of a model that knows all of their classes by their ids, and more."""
        labels = meaning.classes.labels_of(data.classes)
        if meaning.names != data.classes.names and labels is not None:
            return data.relabelled(meaning.classes, labels)
        return super().fitted(meaning, data, file)

    # A training step

    def targets(self, batch: BoxBatch) -> BoxTargets:
        from models.boxes.targets import BoxTargets

        return BoxTargets.of(batch.targets, batch.sizes)

    def outputs(self, model: Any, batch: BoxBatch, targets: BoxTargets | None = None) -> Any:
        """Without ``targets`` an image's detections do not depend on its batch mates, whatever the model."""
        from datasets.boxes.batch import with_channels
        from models.boxes.one_by_one import one_by_one, sees_mates

        images = with_channels(batch.images, _channels(model))
        if targets is None and len(batch) > 1 and sees_mates(model):
            return one_by_one(model, images, batch.sizes)
        return model(images, targets, sizes=batch.sizes)

    def weight(self, batch: BoxBatch) -> float:
        """Objects, at least 1: an image without any costs too."""
        return float(max(sum(int((~target["ignored"]).sum()) for target in batch.targets), 1))

    # Evaluation

    def evaluator(self) -> BoxEvaluator:
        from util.evaluation.boxes.box_results import BoxEvaluator

        return BoxEvaluator()

    def joined(self, results: Sequence[BoxResults]) -> BoxResults:
        from util.evaluation.boxes.box_results import concatenate

        return concatenate(results)

    def headline(self, results: BoxResults) -> dict[str, Any]:
        from util.evaluation.boxes.box_summary import headline

        return headline(results)

    def words(self, headline: Headline) -> dict[str, str]:
        names = {"AP": "ap", "AP50": "ap50"}
        return {word: f"{100 * (headline[name] or 0.0):.1f} %" for word, name in names.items()}

    def picture(self, batch: BoxBatch, outputs: Any) -> np.ndarray:
        from util.reporting.boxes.box_pictures import prediction_picture

        largest = int(outputs.final.labels.max()) if outputs.final.labels.numel() else 0
        return prediction_picture(batch, outputs.final, [str(label) for label in range(largest + 1)])

    # Prediction and reports

    def add_look_arguments(self, parser: argparse.ArgumentParser) -> None:
        add_arguments(parser)

    def looks(self, args: argparse.Namespace) -> BoxLooks:
        return BoxLooks.of(args)

    def add_inference_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "--image-ids",
            type=Path,
            metavar="J",
            help="COCO file whose images these are: results have its ids (default: the files' names)",
        )

    def as_read(self, args: argparse.Namespace) -> Callable[[SourceImage], SourceImage]:
        """As it is, if it is an image of ``--image-ids``."""
        from util.prediction.boxes.image_ids import ImageIds

        return super().as_read(args) if args.image_ids is None else ImageIds.read(args.image_ids).known

    def inferring(self, predictor: Any, args: argparse.Namespace) -> Predictor:
        """With the ids of ``--image-ids``."""
        from util.prediction.boxes.image_ids import ImageIds

        if args.image_ids is not None:
            predictor.answers = replace(predictor.answers, image_ids=ImageIds.read(args.image_ids))
        return predictor

    def inference_settings(self, args: argparse.Namespace) -> dict[str, Any]:
        return {} if args.image_ids is None else {"image_ids_sha256": sha256(args.image_ids)}

    def predictor(self, loaded: LoadedModel) -> BoxPredictor:
        from util.prediction.boxes.predict import BoxPredictor

        transforms = instantiate(loaded.config.eval_transforms)
        device = next(iter(loaded.model.state_dict().values())).device

        def find(batch: BoxBatch) -> Any:
            import torch

            with torch.inference_mode():
                return self.outputs(loaded.model, batch.to(device))

        colour = _channels(loaded.model) == 3
        return BoxPredictor(find, transforms, loaded.meaning.classes, loaded.file, colour=colour)

    def evaluation(
        self, results: BoxResults, data: BoxDataset, looks: Any, meanings: Sequence[BoxMeaning]
    ) -> BoxEvaluation:
        from util.evaluation.boxes.box_evaluation import BoxEvaluation

        return BoxEvaluation(
            results=results,
            names=data.classes.names,
            category_ids=data.classes.ids,
            checkpoints=looks.checkpoints,
            folder=data.folder,
            subset=data.subset,
            repeated=data.repeated,
            show_conf=looks.show_conf,
        )

    def write_report(
        self, file: Path, evaluation: BoxEvaluation, load_image: Callable[[int], np.ndarray]
    ) -> None:
        from util.reporting.boxes.box_report import write_report

        write_report(file, evaluation, load_image)

    # Looking inside, export, benchmark

    def example_meaning(self, count: int) -> BoxMeaning:
        names = tuple(f"class {number}" for number in range(1, count + 1))
        return BoxMeaning(BoxClasses(names, tuple(range(1, count + 1))))

    def graph_predictor(self, file: Path, device: str) -> GraphBoxPredictor:
        from util.export.boxes.onnx_boxes import load_graph

        return load_graph(file, device)

    def add_export_arguments(self, parser: argparse.ArgumentParser) -> None:
        from util.export.boxes.export import add_arguments

        add_arguments(parser)

    def exported(self, args: argparse.Namespace, say: Say) -> bytes:
        from util.export.boxes.export import exported

        return exported(args, self, say)

    def add_inspection_arguments(self, parser: argparse.ArgumentParser) -> None:
        from util.inspection.boxes.model_pictures import add_arguments

        add_arguments(parser)

    def model_pictures(
        self, loaded: LoadedModel, args: argparse.Namespace, say: Say
    ) -> Iterator[tuple[str, Any]]:
        from util.inspection.boxes.model_pictures import model_pictures

        return model_pictures(loaded, args, say)

    def data_pictures(
        self, config: Mapping[str, Any], args: argparse.Namespace, say: Say
    ) -> Iterator[tuple[str, bytes]]:
        from util.inspection.boxes.data_pictures import data_pictures

        return data_pictures(config, args, say)


def _channels(model: Any) -> int:
    """Of the images that a detector takes."""
    from models.backbone import input_channels

    return input_channels(getattr(model, "module", model).backbone.parameters())  # several processes wrap it
