"""Cephalometric measurements of landmarks that inference.py found, each with its uncertainty.

    python tools/measure.py --landmarks landmarks.json --analysis steiner
    python tools/measure.py --landmarks landmarks.json --analysis steiner my.json --sex female --age 14 \\
        --output measurements.json --report measurements.html

An analysis is a name that ships or a file of your own (docs/measurements.md). Norms are of populations: say
what is known of the patient, and they are chosen by it. Not a diagnosis.

Exit code 0: all went well; 1: some images could not be measured, the rest is written; 2: bad arguments.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # run as a script, from anywhere

from measurements.analysis import shipped_analyses  # noqa: E402
from measurements.table import text_table  # noqa: E402
from util.files import write_atomic  # noqa: E402
from util.prediction.landmarks.measured import add_measurement_arguments, measurer_of  # noqa: E402
from util.prediction.landmarks.measuring import (  # noqa: E402
    Measurer,
    by_its_ruler,
    landmark_set_of,
    read_landmark_file,
    shapes_of,
)


def main() -> int:
    args = parse_args()
    content = read_landmark_file(args.landmarks)
    shapes = shapes_of(content["model"], str(args.landmarks))
    measurer = measurer_of(args, landmark_set_of(content), shapes)
    if args.nominal:
        content["images"] = [{**image, "spacing_source": "nominal"} for image in content["images"]]
    images, failed = measure_all(measurer, content["images"], args.ruler)
    for image in images:
        print_image(image)
    result = {"model": content["model"], **measurer.to_dict(), "images": images, "failed": failed}
    if args.output:
        write_atomic(args.output, json.dumps(result, indent=1, allow_nan=False) + "\n")
        print(f"numbers: {args.output}")
    if args.report and images:
        from util.reporting.landmarks.measurement_report import write_report  # matplotlib takes seconds

        write_report(args.report, result)
        print(f"report:  {args.report}")
    return 1 if failed else 0


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--landmarks", type=Path, required=True, help="landmarks.json of inference.py")
    add_measurement_arguments(parser)
    parser.add_argument("--output", type=Path, help="write every number as JSON")
    parser.add_argument("--report", type=Path, help="write a self-contained HTML report")
    parser.add_argument(
        "--nominal", action="store_true", help="the spacing is nominal: no norm of a length is applied"
    )
    args = parser.parse_args()
    if args.ruler is not None and args.nominal:
        parser.error("--ruler, --nominal: expected one of the two.")
    if not args.analysis:
        parser.error(f"--analysis is missing: {', '.join(shipped_analyses())}, or FILE.json of your own.")
    return args


def measure_all(
    measurer: Measurer, images: Sequence[dict[str, Any]], ruler_mm: float | None
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Each image with its measurements in the place of its landmarks, and those that failed."""
    done, failed = [], []
    for image in images:
        where = image["file"] if image.get("slice") is None else f"{image['file']} slice {image['slice']}"
        try:
            image = image if ruler_mm is None else by_its_ruler(image, ruler_mm)
            analyses = measurer(image, where)
        except ValueError as error:
            print(f"measure: {error}", file=sys.stderr)
            failed.append({"file": image["file"], "slice": image.get("slice"), "error": str(error)})
            continue
        done.append({**image, "analyses": analyses})
    return done, failed


def print_image(image: dict[str, Any]) -> None:
    number = "" if image.get("slice") is None else f", slice {image['slice']}"
    print(f"{image['file']}{number}")
    if image.get("plausible") is False:
        print(f"implausible: {image.get('plausible_reason')}")
    for analysis in image["analyses"]:
        print(f"\n{analysis['title']}")
        print(text_table(analysis["measurements"]))
        if lacking := analysis["not_measured"]:
            print(f"not measured for lack of landmarks: {', '.join(sorted(lacking))}")
    print()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except ValueError as error:
        print(f"measure: {error}", file=sys.stderr)
        sys.exit(2)
