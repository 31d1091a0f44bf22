"""Every picture of prepared landmarks, as tools/visualize_datasets.py is asked for them."""

import argparse
from collections.abc import Iterator, Mapping
from typing import Any

from datasets.prepared.prepared import PreparedDataset
from util.config import instantiate
from util.inspection.landmarks.dataset_figures import mean_shape_figure
from util.inspection.landmarks.dataset_pictures import (
    case_pictures,
    choose_cases,
    sheet_tiles,
    spread_cases,
)
from util.inspection.landmarks.heatmap_target import TargetMaker
from util.inspection.landmarks.shape_spread import measure_spread
from util.reporting.figures import png
from util.reporting.visualise import contact_sheet, encode_png
from util.training.task import Say


def data_pictures(
    config: Mapping[str, Any], args: argparse.Namespace, say: Say
) -> Iterator[tuple[str, bytes]]:
    """File stem and PNG, one at a time; at the end it says what the config has no picture of."""
    upright = PreparedDataset(args.data, args.subset, instantiate(config["eval_transforms"]))
    augmented = PreparedDataset(args.data, args.subset, instantiate(config["train_transforms"]), args.seed)
    target = TargetMaker(config)
    for index in choose_cases(len(upright), args.count, args.seed):
        for stem, figure in case_pictures(upright, augmented, index, args.draws, target):
            yield stem, png(figure)
    title = f"{upright.folder.name}, {upright.subset}, {len(upright)} cases"
    yield "mean_shape", png(mean_shape_figure(measure_spread(upright), title))
    sheet = contact_sheet(sheet_tiles(upright, spread_cases(len(upright), args.sheet)))
    yield "contact_sheet", encode_png(sheet)
    if target.reason:
        say(target.reason)
