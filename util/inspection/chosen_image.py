"""The image that a look into a model is about."""

import argparse
from itertools import islice

from datasets.files.image_files import SourceImage, read_images


def chosen_image(args: argparse.Namespace) -> SourceImage:
    """Image ``--slice`` of ``--input``, counted from 1, or the first. Raises ValueError for none such."""
    number = args.slice or 1
    image = next(islice(read_images(args.input), number - 1, number), None)
    if image is None:
        raise ValueError(
            f"{args.input}: no slice {number}. Give --slice N from 1 to the number of its images."
        )
    return image
