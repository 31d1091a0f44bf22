"""Let a model follow the protocol of other readers, from a few films that they have marked.

    python tools/adapt_protocol.py --checkpoint weights/cephdetr19.safetensors --data data/clinic \\
        --subset val --output clinic.pt --report clinic.html

What keeps a good model from being right elsewhere is mostly a constant offset a landmark: the same point is
marked at another place by other hands. The films tell it, in a frame of the face; it is shrunk by its own
uncertainty, so one film does no harm. Mirrored and turned films are put right as inference.py does; films on
which nothing plausible is found are left out, and named. The weights stay as they are; every script and
exported graph takes clinic.pt as it takes any checkpoint. A protocol that the checkpoint has already is
replaced. What to expect is in docs/protocols.md.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # run as a script, from anywhere

import numpy as np  # noqa: E402
from tqdm import tqdm  # noqa: E402

from util.arguments import add_data_arguments, checkpoint_name, positive  # noqa: E402
from util.checkpoints.checkpoint import save_checkpoint  # noqa: E402
from util.evaluation.landmarks.metrics import Errors  # noqa: E402
from util.evaluation.landmarks.protocol_adaptation import adapt  # noqa: E402
from util.evaluation.landmarks.protocol_gain import Gain, Side, face_size_mm  # noqa: E402
from util.evaluation.landmarks.unit_names import short  # noqa: E402
from util.files import write_atomic  # noqa: E402
from util.prediction.landmarks.protocol import ProtocolOffsets  # noqa: E402


def main() -> None:
    args = parse_arguments()
    made = adapt(
        args.checkpoint,
        args.data,
        args.subset,
        device=args.device,
        batch_size=args.batch_size,
        workers=args.workers,
        watched=lambda batches: tqdm(batches, unit="batch"),
    )
    found, protocol, errors = made.gain, made.protocol, made.errors
    save_checkpoint(args.output, made.checkpoint)
    print_results(found, protocol, made.landmark_set.landmarks, errors)
    for sentence in made.left_out:
        print(f"left out: {sentence}")
    films = "1 film" if protocol.films == 1 else f"{protocol.films} films"
    print(f"{args.output}: {args.checkpoint} following {films} of {made.folder}")
    if args.json:
        content = {"protocol": protocol.to_dict(), "gain": found.to_dict()}
        content |= {"cases": list(errors.cases), "left_out": list(made.left_out)}
        write_atomic(args.json, json.dumps(content, indent=1, allow_nan=False) + "\n")
    if args.report:
        from util.reporting.landmarks.protocol_report import write_report  # matplotlib takes seconds

        write_report(
            args.report,
            errors,
            protocol,
            found,
            landmark_set=made.landmark_set,
            left_out=made.left_out,
            checkpoint=str(args.checkpoint),
        )
        print(f"report: {args.report}")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--checkpoint", type=Path, required=True, help="RUN/best.pt or weights/NAME.safetensors"
    )
    add_data_arguments(parser, subset="val")
    parser.add_argument("--batch-size", type=positive(int), default=8)
    parser.add_argument(
        "--output", type=checkpoint_name, required=True, help="FILE.pt, the checkpoint with its protocol"
    )
    parser.add_argument("--report", type=Path, help="write a self-contained HTML report")
    parser.add_argument("--json", type=Path, help="write the offsets and every number")
    return parser.parse_args()


def print_results(found: Gain, protocol: ProtocolOffsets, names: Sequence[str], errors: Errors) -> None:
    size = face_size_mm(errors, protocol)
    length = np.linalg.norm(protocol.offset, axis=-1) * size
    narrow = short(errors.unit)
    largest = ", ".join(f"{names[k]} {length[k]:.2f} {narrow}" for k in np.argsort(-length)[:3])
    print(f"offsets: largest {largest}; mean {length.mean():.2f} {errors.unit}")
    if not protocol.clear_of_chance():
        print("         none is clear of chance: none is longer than twice its standard error")
    if warning := found.warning(protocol.films):
        print(f"warning: {warning}.")
    print(f"as it was:            {in_words(found.before, errors.unit)}")
    if found.after is None:
        print("each by the others:   one film has no others; mark a second one to see what it brings")
        return
    print(f"each by the others:   {in_words(found.after, errors.unit)}")
    now, *later = found.expected_mre_mm.items()
    more = ", ".join(f"{films} more {mre:.3f}" for films, mre in later)
    print(f"expected on new films: MRE {now[1]:.3f} {errors.unit}; with {more}")


def in_words(side: Side, unit: str) -> str:
    held = ", ".join(f"{share} % radius holds {held:.1f} %" for share, held in side.coverage_percent.items())
    return f"MRE {side.mre_mm:.3f} {unit}, {side.sdr2_percent:.1f} % within 2 {short(unit)}; {held}"


if __name__ == "__main__":
    try:
        main()
    except ValueError as error:
        sys.exit(f"adapt_protocol.py: {error}")
