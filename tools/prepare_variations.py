"""Prepare other shapes of a folder's training images, to pre-train on where X-rays are few.

    python tools/prepare_variations.py --data data/mine --count 500 --output data/mine_variations
    python main.py --config-file configs/own_data.py data.folder=data/mine_variations data.val=train:40

Each image is warped to a shape drawn as those of the training images vary, its landmarks with it
(docs/data.md). Case i is a pure function of (seed, i). Folds keep the copies of a patient together.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # run as a script, from anywhere

from datasets.prepared.prepared import PreparedCase, PreparedDataset, write_prepared
from datasets.prepared.subsets import content_digest, read_header
from transforms.augment import EvalTransforms
from transforms.geometry import warp_points
from transforms.move import Move
from transforms.shape_modes import ShapeModes
from transforms.thin_plate import ThinPlate
from util.files import sha256

_LETTERBOX = EvalTransforms((512, 512))  # where shapes are compared: its pixels are square
_DRAWS = 20  # of a shape that leaves what lengths are measured by in the image


def main() -> None:
    args = parse_arguments()
    if args.count < 1:
        raise ValueError(f"--count {args.count}: expected at least 1 image.")
    if not 0.0 < args.shape_modes <= 1.0:
        raise ValueError(f"--shape-modes {args.shape_modes}: expected a share above 0, at most 1.")
    if not args.subset.startswith("train"):
        raise ValueError(f"--subset {args.subset}: expected train or a part of it, since others are to test.")
    data = PreparedDataset(args.data, args.subset)
    modes = data.shape_modes(_LETTERBOX)
    sources = [data.cases[number % len(data)] for number in range(args.count)]
    names = [f"{case}_variation{number:05d}" for number, case in enumerate(sources)]
    persons = read_header(args.data).get("persons", {})
    write_prepared(
        args.output,
        {"train": variations(data, modes, names, args)},
        landmark_set=data.landmark_set,
        labels=data.labels,
        created_by=f"tools/prepare_variations.py --subset {args.subset} --shape-modes {args.shape_modes}",
        source_files={f"{case}.png": sha256(args.data / "images" / f"{case}.png") for case in data.cases},
        seed=args.seed,
        landmark_shapes=data.landmark_shapes,
        unit=data.unit,
        about={
            "persons": {
                name: str(persons.get(case, case)) for name, case in zip(names, sources, strict=True)
            },
            "variations_of": {
                "folder": args.data.name,
                "content": content_digest(args.data),
                "modes": len(modes.modes),
            },
        },
    )
    print(f"{args.count} variations of {len(data)} images, {len(modes.modes)} modes -> {args.output}")


def variations(
    data: PreparedDataset, modes: ShapeModes, names: list[str], args: argparse.Namespace
) -> Iterator[PreparedCase]:
    """One case a name, its source the image of the same place in ``data``, beginning again at its end."""
    for number, name in enumerate(names):
        index = number % len(data)
        sample = data.load(index)
        rng = np.random.default_rng([args.seed, number])
        warped = sample.moved(other_shape(data, index, modes, args.shape_modes, rng)).in_sight()
        yield PreparedCase(
            name=name,
            image=warped.image,
            points=warped.points.clip(0.0, np.array(sample.size)),
            spacing=data.spacings[index],
            source_file=f"{sample.case}.png",
            source_size=sample.size,
        )


def other_shape(
    data: PreparedDataset, index: int, modes: ShapeModes, share: float, rng: np.random.Generator
) -> Move:
    """What brings case ``index`` to another shape.

    Where the case shows the folder's unit of length, such as the distance of two landmarks, so does what is
    made of it: other shapes are drawn anew, and in the end it stays as it is.
    """
    sample = data.without_pixels(index)
    upright = _LETTERBOX.matrix(sample)
    shown = data.shows_unit(index, sample.points)
    for _ in range(_DRAWS):
        other = modes.draw(warp_points(sample.points, upright), share, rng)
        new = warp_points(other, np.linalg.inv(upright))
        move = Move(np.eye(3), sample.size, ThinPlate.between(sample.points, new, sample.size))
        if not shown or data.shows_unit(index, sample.annotation_moved(move).in_sight().points):
            return move
    return Move(np.eye(3), sample.size)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--data", type=Path, required=True, metavar="DIR", help="prepared folder of landmarks"
    )
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder to make")
    parser.add_argument("--count", type=int, default=500, metavar="N", help="images to make (500)")
    parser.add_argument("--subset", default="train", help="train, or a part of it such as train:25 (train)")
    parser.add_argument(
        "--shape-modes", type=float, default=0.8, metavar="SHARE", help="of another shape in each, to 1 (0.8)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of every image (0)")
    return parser.parse_args()


if __name__ == "__main__":
    try:
        main()
    except (OSError, ValueError) as error:
        sys.exit(f"prepare_variations.py: {error}")
