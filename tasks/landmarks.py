"""Landmarks: points with their uncertainty, in pixels and millimetres.

PyTorch and matplotlib are imported where they are used: a graph in ONNX Runtime comes through here too.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from datasets.landmarks.landmark_set import LandmarkSet
from datasets.landmarks.meaning import LandmarkMeaning
from transforms.sample import MILLIMETRES
from util.config import instantiate
from util.evaluation.landmarks.unit_names import mean_error, short
from util.prediction.landmarks.looks import Looks, add_arguments
from util.training.task import Criterion, Headline, Say, Task, Transforms

if TYPE_CHECKING:
    from datasets.files.image_files import SourceImage
    from datasets.landmarks.batch import PointBatch
    from datasets.prepared.prepared import PreparedDataset
    from models.landmarks.landmark_model import LandmarkModel
    from models.landmarks.prediction import Targets
    from transforms.sample import PointSample
    from util.checkpoints.checkpoint import LoadedModel
    from util.evaluation.landmarks.evaluation import LandmarkEvaluation
    from util.evaluation.landmarks.metrics import Errors, LandmarkEvaluator
    from util.prediction.landmarks.predict import LandmarkPredictor, Predictor


# Shares of the shape's size (``datasets.landmarks.shape_size``) that come to the defaults of the landmark
# DETR on a cephalogram; the last is a share of each half window. The search's window is a sixth of the
# spacing of vertebrae (``data/spine68``), which need it.
_WINDOWS, _JITTER, _WINDOW_JITTER = (0.128, 0.0435), 0.109, 0.35
_SEARCH_WINDOW = 0.036
_HEAD = 0.184  # the shape's size of a head; one landmark alone has none, and gets the defaults


class LandmarkTask(Task):
    """K landmarks on every X-ray, some of them perhaps not annotated."""

    name = "landmarks"
    criteria: ClassVar[Mapping[str, Criterion]] = {
        "mre": mean_error,
        "sdr2": lambda headline: -headline["sdr_percent"]["2.0"],
    }

    # Data

    def open_data(
        self, folder: str | Path, subset: str, transforms: Transforms | None = None, seed: int = 0
    ) -> PreparedDataset:
        from datasets.prepared.prepared import PreparedDataset

        return PreparedDataset(folder, subset, transforms, seed)

    def collate(self, samples: Sequence[PointSample]) -> PointBatch:
        from datasets.landmarks.batch import collate

        return collate(samples)

    def require_trainable(self, data: PreparedDataset) -> None:
        from datasets.prepared.prepared import require_spacing

        require_spacing(data)

    # Model

    def meaning(self, data: PreparedDataset) -> LandmarkMeaning:
        return LandmarkMeaning(data.landmark_set, data.labels, data.landmark_shapes, data.unit)

    def meaning_of(self, checkpoint: Mapping[str, Any], file: Path) -> LandmarkMeaning:
        return LandmarkMeaning.from_dict(checkpoint, file)

    def require_same(self, meaning: LandmarkMeaning, data: PreparedDataset, file: Path) -> None:
        """Raise ValueError unless the landmarks are the same, in the same order."""
        trained, landmark_set = meaning.landmark_set, data.landmark_set
        if trained.landmarks != landmark_set.landmarks:
            raise ValueError(
                f"{file}: trained on the {len(trained)} landmarks of {trained.name!r}, the data have the "
                f"{len(landmark_set)} of {landmark_set.name!r}. Use data with the same ones, in the same "
                "order."
            )

    def build_model(self, config: Any, meaning: LandmarkMeaning) -> LandmarkModel:
        return instantiate(config, num_landmarks=len(meaning.landmark_set))

    def begin(self, model: LandmarkModel, data: PreparedDataset) -> None:
        import torch

        from datasets.prepared.prepared import mean_shape
        from transforms.augment import EvalTransforms

        model.mean_shape.copy_(torch.as_tensor(mean_shape(data)))
        search, letterbox = getattr(model, "search", None), data.transforms
        if search is not None:
            assert isinstance(letterbox, EvalTransforms)
            found, height = data.shape_modes(letterbox), letterbox.height
            search.learn(found.mean / height, found.modes / height, found.residual / height)

    def restore(self, model: LandmarkModel, checkpoint: Mapping[str, Any], file: Path) -> None:
        """The factor on its uncertainty, and whose protocol it follows."""
        from util.prediction.landmarks.protocol import restore_protocol

        model.uncertainty_factor.fill_(checkpoint.get("calibration", 1.0))
        restore_protocol(model, checkpoint, file)

    def automatic(self, key: str, data: PreparedDataset, size: tuple[int, int]) -> Any:
        """Windows and jitter of the landmark DETR, as shares of the shape's size rather than of a head's."""
        from datasets.landmarks.shape_size import shape_size
        from datasets.prepared.prepared import mean_shape
        from transforms.augment import EvalTransforms

        if key not in ("model.roi_windows", "model.jitter", "model.search_window"):
            return super().automatic(key, data, size)
        upright = self.open_data(data.folder, data.subset, EvalTransforms(size))
        extent = shape_size(mean_shape(upright), size) or _HEAD
        if key == "model.roi_windows":
            return [round(share * extent, 5) for share in _WINDOWS]
        if key == "model.jitter":
            return [round(_JITTER * extent, 5), _WINDOW_JITTER]
        return round(_SEARCH_WINDOW * extent, 5)

    # A training step

    def targets(self, batch: PointBatch) -> Targets:
        from models.landmarks.prediction import Targets

        return Targets(batch.points, batch.present, batch.mm_per_unit)

    def weight(self, batch: PointBatch) -> float:
        """Annotated landmarks."""
        return float(batch.present.sum())

    # Evaluation

    def evaluator(self) -> LandmarkEvaluator:
        from util.evaluation.landmarks.metrics import LandmarkEvaluator

        return LandmarkEvaluator()

    def joined(self, results: Sequence[Errors]) -> Errors:
        from util.evaluation.landmarks.metrics import concatenate

        return concatenate(results)

    def headline(self, results: Errors) -> dict[str, Any]:
        from util.evaluation.landmarks.metrics import headline, summarise

        return headline(summarise(results))

    def words(self, headline: Headline) -> dict[str, str]:
        unit = headline.get("unit", MILLIMETRES)
        return {
            "MRE": f"{mean_error(headline):.3f} {unit}",
            f"SDR 2 {short(unit)}": f"{headline['sdr_percent']['2.0']:.1f} %",
        }

    def scalars(self, headline: Headline) -> dict[str, float]:
        rates = {f"sdr_{limit}": share for limit, share in headline["sdr_percent"].items()}
        return super().scalars(headline) | rates

    def beside_weights(self, results: Errors) -> dict[str, Any]:
        """The factor that the predicted scales need, and the limits of what is plausible."""
        from util.evaluation.landmarks.calibration import fit_factor
        from util.evaluation.landmarks.limits_fit import limits_by
        from util.prediction.landmarks.plausibility import KEY

        limits = limits_by(results, f"{len(results.cases)} validation images")
        return {
            "calibration": fit_factor(results.radial_mm, results.uncertainty_mm),
            KEY: None if limits is None else limits.to_dict(),
        }

    def picture(self, batch: PointBatch, outputs: Any) -> np.ndarray:
        from util.reporting.visualise import prediction_picture

        return prediction_picture(batch, outputs.final)

    # Prediction and reports

    def add_look_arguments(self, parser: argparse.ArgumentParser) -> None:
        add_arguments(parser)

    def looks(self, args: argparse.Namespace) -> Looks:
        return Looks.of(args)

    def add_inference_arguments(self, parser: argparse.ArgumentParser) -> None:
        from util.prediction.landmarks.measured import add_measurement_arguments

        parser.add_argument(
            "--orientation",
            choices=("auto", "as-is"),
            default="auto",
            help="auto: put mirrored and turned pictures right (docs/files.md)",
        )
        add_measurement_arguments(parser)

    def as_read(self, args: argparse.Namespace) -> Callable[[SourceImage], SourceImage]:
        """With the spacing that its ruler tells, if asked."""
        from datasets.files.ruler import by_ruler

        if args.ruler is None:
            return super().as_read(args)
        if args.spacing is not None:
            raise ValueError("--ruler, --spacing: expected one of the two.")
        return partial(by_ruler, pitch_mm=args.ruler)

    def inferring(self, predictor: Any, args: argparse.Namespace) -> Predictor:
        """Turned pictures put right, each told whether what is found is plausible, and measured if asked."""
        from util.prediction.landmarks.measured import Measured, measurer_of, require_use
        from util.prediction.landmarks.measuring import shapes_of
        from util.prediction.landmarks.plausibility import limits_of_file
        from util.prediction.landmarks.posed import Posed

        require_use(args)
        limits = limits_of_file(predictor.file, len(predictor.landmark_set))
        posed = Posed(predictor, limits, search=args.orientation == "auto")
        if not args.analysis:
            return posed
        shapes = shapes_of(predictor.answers.about(), str(predictor.file))
        return Measured(posed, measurer_of(args, predictor.landmark_set, shapes))

    def inference_settings(self, args: argparse.Namespace) -> dict[str, Any]:
        from util.prediction.landmarks.measured import measurement_settings

        return {"orientation": args.orientation, **measurement_settings(args)}

    def predictor(self, loaded: LoadedModel) -> LandmarkPredictor:
        from util.prediction.landmarks.predict import LandmarkPredictor

        return LandmarkPredictor(loaded)

    def graph_predictor(self, file: Path, device: str) -> Predictor:
        from util.export.landmarks.onnx_model import OnnxPredictor, load_graph

        return OnnxPredictor(load_graph(file, device))

    def evaluated(self, predictor: Any, samples: Iterable[PointSample], batch_size: int) -> Errors:
        from util.evaluation.landmarks.evaluate_predictor import evaluate_predictor

        return evaluate_predictor(predictor, samples, batch_size)

    def evaluation(
        self,
        results: Errors,
        data: PreparedDataset,
        looks: Any,
        meanings: Sequence[LandmarkMeaning],
    ) -> LandmarkEvaluation:
        from datasets.prepared.repeats import film_digest
        from util.evaluation.landmarks.evaluation import LandmarkEvaluation
        from util.evaluation.landmarks.metrics import summarise

        known = {digest for meaning in meanings for digest in meaning.taught_by}
        films = enumerate(data.cases) if known else ()
        return LandmarkEvaluation(
            errors=results,
            summary=summarise(results),
            landmark_set=data.landmark_set,
            labels=data.labels,
            checkpoint=looks.checkpoints[0],
            folder=data.folder,
            subset=data.subset,
            looks=looks,
            repeated=data.repeated,
            taught=tuple(case for index, case in films if film_digest(data.load(index).image) in known),
            trained_on=" + ".join(dict.fromkeys(meaning.labels for meaning in meanings)),
            landmark_shapes=meanings[0].landmark_shapes,
        )

    def write_report(
        self, file: Path, evaluation: LandmarkEvaluation, load_image: Callable[[int], np.ndarray]
    ) -> None:
        from util.reporting.report import write_report

        write_report(file, evaluation, load_image)

    # Looking inside, export, benchmark

    def example_meaning(self, count: int) -> LandmarkMeaning:
        names = tuple(f"landmark {number}" for number in range(1, count + 1))
        return LandmarkMeaning(LandmarkSet("any", names, names), "none: random weights")

    def add_export_arguments(self, parser: argparse.ArgumentParser) -> None:
        from util.export.landmarks.export import add_arguments

        add_arguments(parser)

    def exported(self, args: argparse.Namespace, say: Say) -> bytes:
        from util.export.landmarks.export import exported

        return exported(args, self, say)

    def add_inspection_arguments(self, parser: argparse.ArgumentParser) -> None:
        from util.inspection.landmarks.model_pictures import add_arguments

        add_arguments(parser)

    def model_pictures(
        self, loaded: LoadedModel, args: argparse.Namespace, say: Say
    ) -> Iterator[tuple[str, Any]]:
        from util.inspection.landmarks.model_pictures import model_pictures

        return model_pictures(loaded, args, say)

    def data_pictures(
        self, config: Mapping[str, Any], args: argparse.Namespace, say: Say
    ) -> Iterator[tuple[str, bytes]]:
        from util.inspection.landmarks.data_pictures import data_pictures

        return data_pictures(config, args, say)
