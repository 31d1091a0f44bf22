"""All pictures of one image and one model, by file name."""

from collections.abc import Iterator

import numpy as np
from matplotlib.figure import Figure
from torch import Tensor, nn

from util.inspection.landmarks.canvas_drawing import Canvas
from util.inspection.landmarks.figures import (
    attention_figure,
    paths_figure,
    prediction_figure,
    salience_figure,
)
from util.inspection.landmarks.gradients import gradient_maps
from util.inspection.landmarks.landmark_figures import (
    gradient_figure,
    heatmap_figure,
    path_figure,
    roi_figure,
    sampling_figure,
)
from util.inspection.landmarks.views import Inspection


def most_uncertain(inspection: Inspection, count: int = 3) -> list[int]:
    """Indices of the landmarks with the largest predicted radial error, in shares of the canvas, in order."""
    radial = inspection.path[-1].radial_error(np.ones(2))
    return np.argsort(-radial, kind="stable")[:count].tolist()


def overview_pictures(canvas: Canvas, inspection: Inspection) -> Iterator[tuple[str, Figure]]:
    """Pictures of all landmarks: (file stem, figure), as far as the model has the parts."""
    yield "prediction", prediction_figure(canvas, inspection.path[-1])
    if len(inspection.path) > 1:
        yield "paths", paths_figure(canvas, inspection.path)
    if inspection.salience is not None:
        yield "salience", salience_figure(canvas, inspection.salience)
    if inspection.landmark_attention is not None:
        yield "landmark_attention", attention_figure(canvas, inspection.landmark_attention)


def landmark_pictures(canvas: Canvas, inspection: Inspection, landmark: int) -> Iterator[tuple[str, Figure]]:
    """Pictures of one landmark, counted from 0: (file stem, figure), as far as the model has the parts."""
    path, final = inspection.path, inspection.path[-1]
    prefix = f"{landmark + 1:02d}_"
    if inspection.heatmaps is not None:
        yield f"{prefix}heatmap", heatmap_figure(canvas, inspection.heatmaps[landmark], landmark, final)
    if inspection.sampling:
        yield f"{prefix}sampling", sampling_figure(canvas, inspection.sampling, landmark)
    if inspection.roi:
        yield f"{prefix}roi", roi_figure(canvas, inspection.roi, landmark)
    if len(path) > 1:
        yield f"{prefix}path", path_figure(canvas, path, landmark)


def gradient_pictures(
    canvas: Canvas, model: nn.Module, image: Tensor, landmark: int, part: str = "backbone"
) -> Iterator[tuple[str, Figure]]:
    """Gradient-weighted maps of one landmark: (file stem, figure). Raises ValueError as ``gradient_maps``."""
    maps = gradient_maps(model, image, landmark, part)
    yield f"{landmark + 1:02d}_gradients", gradient_figure(canvas, maps, landmark)
