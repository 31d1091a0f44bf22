"""What the heatmaps of a model are trained towards, for whoever wants to look at it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from models.backbone import STRIDES
from models.landmarks.baselines.heatmap_codec import GaussianHeatmaps
from models.landmarks.gaussian import log_place
from models.landmarks.heatmap import salience_levels
from models.landmarks.prediction import Targets
from util.config import instantiate

_SALIENCE_STRIDES = (8, 16, 32, 64)  # of the neck's levels, which round their sizes up


@dataclass(frozen=True)
class HeatmapTarget:
    """The target of one image, and the salience that heatmaps equal to it would give."""

    maps: Tensor  # (K, h, w); a missing landmark's is 0
    sigma_px: float  # standard deviation of its Gaussians, canvas pixels
    unit: str  # of its values
    salience: tuple[Tensor, ...]  # L maps (H_l, W_l) in [0, 1]; empty where nothing is filtered by it


class TargetMaker:
    """The heatmap target that a config trains towards.

    It is the probability of place of ``models.landmarks.losses`` where the criterion has a
    ``heatmap_sigma``, else what the codec of the model encodes. ``make`` is
    None where there is neither; ``reason`` says so.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        criterion, codec = instantiate(config["criterion"]), instantiate(config["model"].get("codec"))
        self._sigma = getattr(criterion, "heatmap_sigma", None)
        self._codec = codec if isinstance(codec, GaussianHeatmaps) else None
        self.reason = ""
        if self._sigma is None and self._codec is None:
            self.reason = f"no heatmap target: {type(criterion).__name__} trains no heatmaps"

    def make(self, targets: Targets, size: tuple[int, int]) -> HeatmapTarget:
        """The target of the only image of ``targets`` on a canvas of ``size`` = (height, width)."""
        if self._sigma is not None:
            stride = STRIDES[0]
            maps = place_probability(targets.points[0], (size[0] // stride, size[1] // stride), self._sigma)
            levels = [(-(-size[0] // s), -(-size[1] // s)) for s in _SALIENCE_STRIDES]
            present = maps[targets.present[0]]
            salience = salience_levels(present.log()[None], levels) if len(present) else []
            return HeatmapTarget(
                maps, self._sigma * stride, "probability a cell", tuple(m[0] for m in salience)
            )
        assert self._codec is not None, self.reason
        stride = self._codec.stride
        map_size = size[0] // stride, size[1] // stride
        sigma = float(self._codec.sigma_cells(targets, map_size[1]).flatten()[0])
        maps = self._codec.encode(targets, map_size)[0]
        return HeatmapTarget(maps, sigma * stride, "target value", ())


def place_probability(points: Tensor, size: tuple[int, int], sigma: float) -> Tensor:
    """(K, 2) normalised points -> (K, h, w) Gaussians of ``sigma`` cells, each summing to 1 over the map.

    The target of ``models.landmarks.losses.heatmap_cross_entropy``; the channel of a missing (NaN) point
    is 0.
    """
    return log_place(points, size, sigma).exp().nan_to_num(0.0)
