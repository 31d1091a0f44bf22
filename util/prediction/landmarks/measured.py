"""A predictor whose records hold the measurements of what it finds, too: inference.py --analysis."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from datasets.files.image_files import SourceImage
from datasets.landmarks.landmark_set import LandmarkSet
from measurements.analysis import analysis_file, load_analysis, shipped_analyses
from measurements.norm import Patient
from measurements.shapes import LandmarkShapes
from util.arguments import TakeAll, positive
from util.files import printable, sha256
from util.prediction.landmarks.answers import LandmarkAnswers
from util.prediction.landmarks.image_landmarks import ImageLandmarks
from util.prediction.landmarks.measuring import Measurer
from util.prediction.landmarks.predict import Predictor

_OLDEST = 130  # years


class Measured(Predictor):
    """Finds what another predictor finds; its answers measure each image."""

    def __init__(self, predictor: Predictor, measurer: Measurer) -> None:
        super().__init__(predictor.landmark_set, predictor.labels, predictor.file, predictor.landmark_shapes)
        self._predictor = predictor
        self.answers = MeasuredAnswers(
            predictor.landmark_set, predictor.labels, measurer, landmark_shapes=predictor.landmark_shapes
        )

    def __call__(self, images: Sequence[SourceImage]) -> list[ImageLandmarks]:
        """Landmarks of each image, in order. Raises ValueError when a prediction is not finite."""
        return self._predictor(images)


@dataclass(frozen=True)
class MeasuredAnswers(LandmarkAnswers):
    """Records with ``analyses`` beside the landmarks; none, and why not, where a head cannot be measured."""

    measurer: Measurer

    def about(self) -> dict[str, Any]:
        return super().about() | {"measurements": self.measurer.to_dict()}

    def record(self, image: SourceImage, found: ImageLandmarks) -> dict[str, Any]:
        record = super().record(image, found)
        try:
            return record | {"analyses": self.measurer(record, printable(image.file))}
        except ValueError as error:
            return record | {"analyses": [], "not_measured": str(error)}


def add_measurement_arguments(parser: argparse.ArgumentParser) -> None:
    """``--analysis`` and what is known of patient and scale, for ``measurer_of``."""
    parser.add_argument(
        "--analysis",
        nargs="+",
        action=TakeAll,
        default=[],
        metavar="NAME",
        help=f"cephalometric measurements: {', '.join(shipped_analyses())}, or FILE.json of your own",
    )
    parser.add_argument(
        "--ruler",
        type=positive(float),
        metavar="PITCH_MM",
        help="mm between the teeth of a ruler on the images, by which their spacing is found",
    )
    add_patient_arguments(parser)
    parser.add_argument(
        "--scale-error",
        type=percent,
        metavar="PERCENT",
        help="standard deviation of the spacing, which widens the intervals of lengths (1 where a ruler "
        "tells it, else 0)",
    )


def add_patient_arguments(parser: argparse.ArgumentParser) -> None:
    """What is known of the patient, by which norms are chosen."""
    parser.add_argument("--age", type=years, help="of the patient, in years; chooses norms")
    parser.add_argument("--sex", choices=("female", "male"), help="of the patient; chooses norms")
    parser.add_argument("--population", help='of the patient, in the words of a norm, such as "white adults"')


def require_use(args: argparse.Namespace) -> None:
    """Raise ValueError for what is known of patient or scale where no ``--analysis`` uses it."""
    given = [name for name in ("age", "sex", "population") if getattr(args, name) is not None]
    given += ["scale-error"] if args.scale_error is not None else []
    if given and not args.analysis:
        raise ValueError(
            f"--{', --'.join(given)}: of use only to measurements. Add --analysis NAME, for instance "
            f"{shipped_analyses()[0]}, or leave it out."
        )


def measurer_of(args: argparse.Namespace, landmark_set: LandmarkSet, shapes: LandmarkShapes) -> Measurer:
    """What ``args`` ask for. Raises ValueError for an analysis that is unknown or cannot be made."""
    return Measurer(
        landmark_set=landmark_set,
        analyses=[load_analysis(name) for name in args.analysis],
        patient=Patient(age=args.age, sex=args.sex, population=args.population),
        shapes=shapes,
        scale_error=None if args.scale_error is None else args.scale_error / 100.0,
    )


def measurement_settings(args: argparse.Namespace) -> dict[str, Any]:
    """All of ``args`` that measurements depend on, the content of analyses too; JSON-ready."""
    keys = ("analysis", "age", "sex", "population", "scale_error", "ruler")
    contents = [sha256(analysis_file(name)) for name in args.analysis]
    return {**{key: getattr(args, key) for key in keys}, "analysis_sha256": contents}


def years(text: str) -> float:
    value = float(text)
    if not 0.0 <= value <= _OLDEST:
        raise argparse.ArgumentTypeError(f"{value:g}, expected years from 0 to {_OLDEST}")
    return value


def percent(text: str) -> float:
    value = float(text)
    if not 0.0 <= value < 100.0:
        raise argparse.ArgumentTypeError(f"{value:g}, expected percent from 0 to below 100")
    return value
