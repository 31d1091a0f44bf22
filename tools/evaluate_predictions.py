"""The leaderboard's numbers of a CL-Detection 2023 predictions file, whoever made it.

    python tools/evaluate_predictions.py --predictions expected_output.json --annotations train-gt.json

Mean radial error (MRE) and success detection rates (SDR) within 2, 2.5, 3 and 4 mm: over all landmarks,
per landmark, and per spacing of the images. Needs neither the images nor a model.
"""

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # run as a script, from anywhere

from datasets.landmarks.cl_detection2023 import (  # noqa: E402
    LANDMARKS,
    SliceAnnotation,
    case_name,
    read_annotations,
    shortened,
)
from datasets.landmarks.cl_predictions import read_predictions  # noqa: E402
from util.evaluation.landmarks.evaluation import LandmarkEvaluation, text_table  # noqa: E402
from util.evaluation.landmarks.metrics import Errors, Summary, summarise  # noqa: E402
from util.files import write_atomic  # noqa: E402


def main() -> None:
    args = parse_args()
    annotations, predictions = read_annotations(args.annotations), read_predictions(args.predictions)
    require_same_slices(predictions, annotations, args)
    errors = paired(predictions, annotations)
    groups = {f"{mm:g}": summarise(paired(predictions, part)) for mm, part in by_spacing(annotations).items()}
    evaluation = LandmarkEvaluation(
        errors=errors,
        summary=summarise(errors),
        landmark_set=LANDMARKS,
        labels="published",
        checkpoint=args.predictions,  # what made it is not known
        folder=args.annotations,
        subset="all slices",
    )
    print_results(evaluation, groups)
    if args.json:
        content = {
            **evaluation.summary.to_dict(),
            "per_spacing_mm": {spacing: group.to_dict() for spacing, group in groups.items()},
            "predictions": str(args.predictions),
            "annotations": str(args.annotations),
            "landmark_set": LANDMARKS.to_dict(),
        }
        write_atomic(args.json, json.dumps(content, indent=1, allow_nan=False) + "\n")
        print(f"numbers: {args.json}")


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--predictions", type=Path, required=True, help="expected_output.json")
    parser.add_argument("--annotations", type=Path, required=True, help="train-gt.json")
    parser.add_argument("--json", type=Path, help="write every number")
    return parser.parse_args()


def require_same_slices(
    predictions: Mapping[int, np.ndarray],
    annotations: Mapping[int, SliceAnnotation],
    args: argparse.Namespace,
) -> None:
    """Raise ValueError unless exactly the annotated slices are predicted."""
    bare, beyond = annotations.keys() - predictions.keys(), predictions.keys() - annotations.keys()
    if bare or beyond:
        raise ValueError(
            f"{args.predictions}: not the slices of {args.annotations} "
            f"(annotated, not predicted: {shortened(sorted(bare)) or 'none'}; "
            f"predicted, not annotated: {shortened(sorted(beyond)) or 'none'}). "
            "Give the two files of one stack."
        )


def by_spacing(annotations: Mapping[int, SliceAnnotation]) -> dict[float, dict[int, SliceAnnotation]]:
    """Spacing in mm per pixel -> the slices that have it, both in order."""
    groups: dict[float, dict[int, SliceAnnotation]] = {}
    for number, annotation in annotations.items():
        groups.setdefault(annotation.spacing_mm, {})[number] = annotation
    return dict(sorted(groups.items()))


def paired(predictions: Mapping[int, np.ndarray], annotations: Mapping[int, SliceAnnotation]) -> Errors:
    """The slices of ``annotations`` with their predictions; nobody has said how sure these are."""
    spacing = np.array([annotation.spacing_mm for annotation in annotations.values()])
    return Errors(
        cases=tuple(map(case_name, annotations)),
        predicted=np.stack([predictions[number] for number in annotations]),
        truth=np.stack([annotation.points for annotation in annotations.values()]),
        spacing=np.stack([spacing, spacing], axis=-1),
        uncertainty_mm=np.full((len(annotations), len(LANDMARKS)), np.nan),
    )


def print_results(evaluation: LandmarkEvaluation, groups: Mapping[str, Summary]) -> None:
    print(text_table(evaluation))
    print()
    for spacing, group in groups.items():
        print(f"{spacing} mm/px, {group.num_images} slices: {rates(group)}")
    print(f"all {evaluation.summary.num_images} slices: {rates(evaluation.summary)}")


def rates(summary: Summary) -> str:
    within = ", ".join(f"{rate:.2f} % within {key} mm" for key, rate in summary.sdr_percent.items())
    return f"MRE {summary.mre_mm:.3f} mm; {within}"


if __name__ == "__main__":
    try:
        main()
    except ValueError as error:
        sys.exit(f"evaluate_predictions: {error}")
