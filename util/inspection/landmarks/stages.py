"""What each stage of a model contributes: its error over a set of images after every one of them."""

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor, nn

from datasets.landmarks.batch import PointBatch
from models.landmarks.baselines.heatmap_decoding import dark
from models.landmarks.prediction import Prediction
from transforms.sample import MILLIMETRES
from util.evaluation.landmarks.metrics import Errors, LandmarkEvaluator, summarise
from util.evaluation.landmarks.unit_names import short
from util.inspection.landmarks.inspect import inspect_model
from util.reporting.text_table import aligned

_BLUR = 1.0  # cells; the standard deviation of the Gaussians that the heatmaps are trained on


def stage_errors(
    model: nn.Module, batches: Iterable[PointBatch], device: torch.device | str
) -> list[tuple[str, Errors]]:
    """Each stage's name and errors, coarse to fine. ``batches`` of one image each."""
    evaluators: dict[str, LandmarkEvaluator] = {}
    for batch in batches:
        batch = batch.to(device)
        for name, points in _stages(model, batch.images):
            unused = torch.zeros_like(points)  # not every stage has an uncertainty, and none is shown
            evaluators.setdefault(name, LandmarkEvaluator()).add(Prediction(points, unused), batch)
    return [(name, evaluator.results()) for name, evaluator in evaluators.items()]


def stage_table(errors: Iterable[tuple[str, Errors]]) -> str:
    """Per stage: mean radial error with its interval, median, percent within 2 and over 4 of the unit."""
    errors = list(errors)
    unit = short(errors[0][1].unit) if errors else MILLIMETRES
    rows = [["after", "MRE", "95 %", "median", "SDR 2", f"> 4 {unit}"]]
    for name, found in errors:
        summary = summarise(found)
        interval = "{:.3f} to {:.3f}".format(*summary.mre_ci95_mm)
        rates = f"{summary.sdr_percent['2.0']:.1f}", f"{100.0 - summary.sdr_percent['4.0']:.2f}"
        rows.append([name, f"{summary.mre_mm:.3f}", interval, f"{summary.median_mm:.3f}", *rates])
    return aligned(rows)


def _stages(model: nn.Module, image: Tensor) -> Iterator[tuple[str, Tensor]]:
    """Names and (1, K, 2) normalised points for a (1, 1, H, W) image."""
    inspection = inspect_model(model, image)
    if inspection.heatmaps is not None and len(inspection.path) > 1:  # else they are the prediction
        maps = image.new_tensor(inspection.heatmaps)[None]
        log_maps = maps.clamp(min=torch.finfo(maps.dtype).tiny).log()
        yield "heatmaps, DARK", dark(log_maps, _BLUR) / maps.new_tensor(maps.shape[:-3:-1])
    for step in inspection.path:
        yield step.name, image.new_tensor(step.points)[None]
