"""Every picture of one image and one model, as tools/visualize_model.py is asked for them."""

import argparse
from collections.abc import Iterator
from typing import Any

from matplotlib.figure import Figure

from util.arguments import TakeAll
from util.checkpoints.checkpoint import LoadedModel
from util.config import instantiate
from util.inspection.chosen_image import chosen_image
from util.inspection.landmarks.input import as_model_input, landmark_indices
from util.inspection.landmarks.inspect import inspect_model
from util.inspection.landmarks.pictures import (
    gradient_pictures,
    landmark_pictures,
    most_uncertain,
    overview_pictures,
)
from util.training.task import Say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What an inspection of a landmark model can be asked besides."""
    parser.add_argument(
        "--landmark",
        nargs="+",
        action=TakeAll,
        default=[],
        metavar="NAME",
        help="names, abbreviations or numbers from 1 (default: the three least certain)",
    )
    parser.add_argument(
        "--part", help="part of the model at whose feature maps gradients are taken (default: backbone)"
    )


def model_pictures(loaded: LoadedModel, args: argparse.Namespace, say: Say) -> Iterator[tuple[str, Figure]]:
    """File stem and figure, one at a time; at the end it says what the model has no picture of."""
    landmark_set = loaded.meaning.landmark_set
    chosen = landmark_indices(args.landmark, landmark_set)
    source = chosen_image(args.input, args.slice, args.spacing)
    image, canvas = as_model_input(source, instantiate(loaded.config.eval_transforms), landmark_set)
    image: Any = image.to(next(iter(loaded.model.state_dict().values())).device)
    inspection = inspect_model(loaded.model, image)
    yield from overview_pictures(canvas, inspection)
    absent = list(inspection.absent)
    for landmark in chosen or most_uncertain(inspection):
        yield from landmark_pictures(canvas, inspection, landmark)
        try:
            yield from gradient_pictures(canvas, loaded.model, image, landmark, args.part or "backbone")
        except ValueError as error:
            if args.part:  # asked for, so not to be passed over
                raise
            absent.append(f"no gradient maps of landmark {landmark + 1}: {error}")
    for sentence in absent:
        say(sentence)
