"""Which image features move a landmark: gradient-weighted maps of a regression.

Grad-CAM (Selvaraju et al., 2017, section 3) weighs each channel of a feature map A by the mean gradient of a
class score and keeps what is positive. A coordinate has no class score and no sign that speaks "for" it, so

- the score is a coordinate of the landmark in canvas pixels, once along x and once along y;
- the map is the length of the two weighted sums, sqrt(m_x^2 + m_y^2), and nothing is cut off.

What is differentiated, as far as the model has it:

- ``steps``: the sum over all stages of the landmark's coordinate. A stage holds the point that it starts from
  fixed, so this is the gradient of the way from start to final point, each step with its own reference held;
- ``peak``: the coordinate at which the landmark's heatmap peaks (``models.landmarks.heatmap.read_peaks``);
- ``bins``: the coordinate decoded from a SimCC model's distributions along x and y.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from models.landmarks.heatmap import read_peaks
from util.config import nearest
from util.inspection.hooks import record_calls
from util.inspection.landmarks.inspect import heatmap_logits

STEPS, PEAK, BINS = "steps", "peak", "bins"
SCORES = {STEPS: "way from start to prediction", PEAK: "heatmap peak", BINS: "decoded bins"}


@dataclass(frozen=True)
class GradientMap:
    """How strongly the features of one map bear on a landmark's place."""

    score: str  # what was differentiated, a key of SCORES
    channelwise: np.ndarray  # (h, w) Grad-CAM: activations weighed by the mean gradient of their channel
    cellwise: np.ndarray  # (h, w) activations weighed by their own gradient (HiResCAM, Draelos & Carin, 2020)
    point: np.ndarray  # (2,) normalised, where the model puts the landmark


def gradient_maps(
    model: nn.Module, image: Tensor, landmark: int, part: str = "backbone"
) -> list[GradientMap]:
    """Gradient-weighted maps of a landmark for every feature map that ``part`` of the model puts out.

    image: (1, 1, H, W) in [0, 1]. Those of a score come together, finest map first as the part has them; a
    score that does not depend on the part is left out. Raises ValueError when the model has no such part,
    or when the part puts out no feature map that any score depends on.
    """
    module = _part(model, part)
    with torch.enable_grad(), record_calls([module]) as calls:
        outputs = model(image)
    features = _feature_maps(calls[module].output if module in calls else None)
    size = image.new_tensor(image.shape[:1:-1])  # (2,) width, height
    final = outputs.final.points[0, landmark].detach().cpu().numpy()
    maps = []
    for score, points in _scores(outputs).items():
        if features and points.requires_grad:
            along = [_gradients(points[landmark, axis] * size[axis], features) for axis in (0, 1)]
            maps += [_map(score, final, *one) for one in zip(features, *along, strict=True)]
    maps = [one for one in maps if one.cellwise.any()]
    if not maps:
        raise ValueError(
            f"part {part!r}: no feature map (1, C, h, w) of it bears on a coordinate of landmark "
            f"{landmark + 1}. Name another part: {_names(model)}."
        )
    return maps


def _part(model: nn.Module, name: str) -> nn.Module:
    try:
        return model.get_submodule(name)
    except AttributeError as error:
        options = [one for one, _ in model.named_modules() if one]
        raise ValueError(f"the model has no part {name!r}; {nearest(name, options)}") from error


def _names(model: nn.Module) -> list[str]:
    return [name for name, _ in model.named_children()]


def _feature_maps(output: Any) -> list[Tensor]:
    items = output if isinstance(output, tuple | list) else [output]
    return [item for item in items if isinstance(item, Tensor) and item.ndim == 4 and item.requires_grad]


def _scores(outputs: Any) -> dict[str, Tensor]:
    """(K, 2) normalised coordinates to differentiate, by name; one without a gradient is no use."""
    stages, logits = getattr(outputs, "predictions", (outputs.final,)), heatmap_logits(outputs)
    scores = {STEPS: torch.stack([stage.points for stage in stages]).sum(0)[0]}
    if logits is not None:
        scores[PEAK] = read_peaks(logits)[0][0]
    if hasattr(outputs, "x") and hasattr(outputs, "y"):
        scores[BINS] = outputs.codec.decode(outputs.x, outputs.y).points[0]
    return scores


def _gradients(score: Tensor, features: list[Tensor]) -> list[Tensor]:
    return list(torch.autograd.grad(score, features, retain_graph=True, materialize_grads=True))


def _map(score: str, point: np.ndarray, feature: Tensor, along_x: Tensor, along_y: Tensor) -> GradientMap:
    gradients = torch.cat([along_x, along_y])  # (2, C, h, w)
    channelwise = (gradients.mean((-2, -1), keepdim=True) * feature).sum(1)  # (2, h, w)
    cellwise = (gradients * feature).sum(1)
    channelwise, cellwise = channelwise.norm(dim=0).detach(), cellwise.norm(dim=0).detach()  # (h, w)
    return GradientMap(score, channelwise.cpu().numpy(), cellwise.cpu().numpy(), point)
