"""Masks: overlapping structures, each with a map of its own, in source pixels and millimetres."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from datasets.masks.class_set import ClassSet
from datasets.masks.meaning import MaskMeaning
from util.config import instantiate
from util.training.task import Criterion, Headline, Say, Task, Transforms

if TYPE_CHECKING:
    from datasets.files.image_files import SourceImage
    from datasets.masks.batch import MaskBatch
    from datasets.masks.dataset import MaskDataset
    from datasets.masks.sample import MaskSample
    from models.masks.mask_model import MaskModel, MaskOutputs, MaskTargets
    from util.checkpoints.checkpoint import LoadedModel
    from util.evaluation.masks.collected import CollectedMasks, MaskCollector
    from util.evaluation.masks.mask_evaluation import MaskEvaluation
    from util.prediction.masks.looks import MaskLooks
    from util.prediction.masks.predict import MaskPredictor


class MaskTask(Task):
    """K structures on every X-ray, of which any may share pixels with any other."""

    name = "masks"
    criteria: ClassVar[Mapping[str, Criterion]] = {
        "dice": lambda headline: -headline["dice"],
        "iou": lambda headline: -headline["iou"],
    }

    # Data

    def open_data(
        self, folder: str | Path, subset: str, transforms: Transforms | None = None, seed: int = 0
    ) -> MaskDataset:
        from datasets.masks.dataset import MaskDataset

        return MaskDataset(folder, subset, transforms, seed)

    def collate(self, samples: Sequence[MaskSample]) -> MaskBatch:
        from datasets.masks.batch import collate

        return collate(samples)

    # Model

    def meaning(self, data: MaskDataset) -> MaskMeaning:
        return MaskMeaning(data.class_set, data.labels)

    def meaning_of(self, checkpoint: Mapping[str, Any], file: Path) -> MaskMeaning:
        return MaskMeaning.from_dict(checkpoint, file)

    def require_same(self, meaning: MaskMeaning, data: MaskDataset, file: Path) -> None:
        """Raise ValueError unless the classes are the same, in the same order."""
        if meaning.names != data.class_set.classes:
            raise ValueError(
                f"{file}: trained on the {len(meaning.names)} classes {list(meaning.names)}, the data have "
                f"{list(data.class_set.classes)}. Use data with the same ones, in the same order."
            )

    def build_model(self, config: Any, meaning: MaskMeaning) -> MaskModel:
        return instantiate(config, num_classes=len(meaning.class_set))

    def begin(self, model: MaskModel, data: MaskDataset) -> None:
        """Raise ValueError if the model has heads for attributes that the data lack, or do not tell apart."""
        wanted = tuple(len(values) for values in data.class_set.attributes.values())
        if model.attribute_values and model.attribute_values != wanted:
            raise ValueError(
                f"model.attribute_values={list(model.attribute_values)}: the data name "
                f"{ {name: list(values) for name, values in data.class_set.attributes.items()} }, expected "
                f"{list(wanted)}, how many values each has; leave it out for none."
            )
        for name, seen in data.known_values().items() if model.attribute_values else ():
            if len(seen) < 2:
                raise ValueError(
                    f"model.attribute_values: {name} is known as {' or '.join(seen) or 'nothing'} in subset "
                    f"{data.subset!r}, expected two values or more: its head would learn nothing, and tell "
                    f"something all the same. Prepare the data with --metadata, or take {name} out of the "
                    "attributes in dataset.json and its images."
                )

    def restore(self, model: MaskModel, checkpoint: Mapping[str, Any], file: Path) -> None:
        """The thresholds. Raises ValueError unless they are one probability a class."""
        import torch

        values = list(checkpoint.get("thresholds", [0.5] * model.num_classes))
        if len(values) != model.num_classes or not all(0.0 < value < 1.0 for value in values):
            raise ValueError(
                f"{file}: thresholds {values}, expected {model.num_classes} probabilities above 0 and below "
                "1. Use a checkpoint that main.py wrote."
            )
        model.thresholds.copy_(torch.tensor(values))

    # A training step

    def targets(self, batch: MaskBatch) -> MaskTargets:
        from models.masks.mask_model import MaskTargets

        return MaskTargets(batch.targets, batch.known, batch.attributes)

    def outputs(self, model: Any, batch: MaskBatch, targets: MaskTargets | None = None) -> MaskOutputs:
        """The model's; in evaluation with its thresholds, which are no part of its graph."""
        if targets is not None:
            return model(batch.images, targets)
        thresholds = tuple(round(value, 6) for value in model.thresholds.tolist())  # as they were chosen
        return replace(model(batch.images), thresholds=thresholds)

    def weight(self, batch: MaskBatch) -> float:
        """Annotated structures."""
        return float(batch.known.sum())

    # Evaluation

    def evaluator(self) -> MaskCollector:
        from util.evaluation.masks.collected import MaskCollector

        return MaskCollector()

    def joined(self, results: Sequence[CollectedMasks]) -> CollectedMasks:
        from util.evaluation.masks.collected import joined

        return joined(results)

    def headline(self, results: CollectedMasks) -> dict[str, Any]:
        from util.evaluation.masks.mask_summary import headline

        return headline(results.results)

    def words(self, headline: Headline) -> dict[str, str]:
        return {"Dice": f"{headline['dice']:.3f}", "IoU": f"{headline['iou']:.3f}"}

    def beside_weights(self, results: CollectedMasks) -> dict[str, Any]:
        """The probabilities from which pixels belong to each class."""
        from util.evaluation.masks.thresholds import best_thresholds

        return {"thresholds": best_thresholds(results.curves)}

    def picture(self, batch: MaskBatch, outputs: MaskOutputs) -> np.ndarray:
        from util.reporting.masks.batch_picture import batch_picture

        return batch_picture(batch, outputs)

    # Prediction and reports

    def add_look_arguments(self, parser: argparse.ArgumentParser) -> None:
        from util.prediction.masks.looks import add_arguments

        add_arguments(parser)

    def looks(self, args: argparse.Namespace) -> MaskLooks:
        from util.prediction.masks.looks import MaskLooks

        return MaskLooks.of(args)

    def add_inference_arguments(self, parser: argparse.ArgumentParser) -> None:
        from util.prediction.masks.looks import add_file_arguments

        add_file_arguments(parser)

    def as_read(self, args: argparse.Namespace) -> Callable[[SourceImage], SourceImage]:
        """Refuses what has no spacing where parts or holes are measured, and with ``--dicom-seg`` what a
        Segmentation cannot refer to.
        """
        from util.files import printable

        cleaning, referable = self.looks(args).cleaning, super().as_read(args)
        if args.dicom_seg:
            from util.prediction.masks.dicom_seg import require_highdicom, require_referable

            require_highdicom()
            referable = require_referable

        def checked(image: SourceImage) -> SourceImage:
            cleaning.require(image.spacing, printable(image.file))
            return referable(image)

        return checked

    def inferring(self, predictor: Any, args: argparse.Namespace) -> Any:
        """``predictor`` with the files that ``args`` ask for."""
        asked = {name: getattr(args, name) for name in ("rle", "coco", "png", "dicom_seg")}
        predictor.answers = replace(predictor.answers, **asked)
        return predictor

    def inference_settings(self, args: argparse.Namespace) -> dict[str, Any]:
        return {"dicom_seg": True} if args.dicom_seg else {}

    def predictor(self, loaded: LoadedModel) -> MaskPredictor:
        from util.prediction.masks.predict import MaskPredictor

        return MaskPredictor.of(loaded)

    def evaluated(self, predictor: Any, samples: Iterable[MaskSample], batch_size: int) -> CollectedMasks:
        """One image at a time, whatever the batch size: windows and looks fill the memory as it is."""
        from util.evaluation.masks.mask_evaluation import evaluated_by

        return evaluated_by(predictor, samples)

    def evaluation(
        self, results: CollectedMasks, data: MaskDataset, looks: Any, meanings: Sequence[MaskMeaning]
    ) -> MaskEvaluation:
        from util.evaluation.masks.attributes import attribute_results
        from util.evaluation.masks.mask_evaluation import MaskEvaluation

        told_apart = meanings[0].class_set.attributes  # an ensemble tells only what its members agree on
        return MaskEvaluation(
            collected=results,
            labels=data.labels,
            trained_on=" + ".join(dict.fromkeys(meaning.labels for meaning in meanings)),
            folder=data.folder,
            subset=data.subset,
            looks=looks,
            repeated=data.repeated,
            attributes=attribute_results(told_apart, results.stated, results.told, results.results.persons),
        )

    def write_report(
        self, file: Path, evaluation: MaskEvaluation, load_image: Callable[[int], np.ndarray]
    ) -> None:
        from util.reporting.masks.mask_report import write_report

        write_report(file, evaluation, load_image)

    # Looking inside, export, benchmark

    def example_meaning(self, count: int) -> MaskMeaning:
        names = tuple(f"class {number}" for number in range(1, count + 1))
        return MaskMeaning(ClassSet("any", names), "none: random weights")

    def graph_predictor(self, file: Path, device: str) -> MaskPredictor:
        from util.export.masks.onnx_masks import load_graph

        return load_graph(file, device)

    def add_export_arguments(self, parser: argparse.ArgumentParser) -> None:
        from util.export.masks.export import add_arguments

        add_arguments(parser)

    def exported(self, args: argparse.Namespace, say: Say) -> bytes:
        from util.export.masks.export import exported

        return exported(args, self, say)

    def model_pictures(
        self, loaded: LoadedModel, args: argparse.Namespace, say: Say
    ) -> Iterator[tuple[str, Any]]:
        from util.inspection.masks.model_pictures import model_pictures

        return model_pictures(loaded, args, say)

    def data_pictures(
        self, config: Mapping[str, Any], args: argparse.Namespace, say: Say
    ) -> Iterator[tuple[str, bytes]]:
        from util.inspection.masks.data_pictures import data_pictures

        return data_pictures(config, args, say)
