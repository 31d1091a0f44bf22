"""Landmarks as Gaussian heatmaps and back: one object holds both ways, so they cannot disagree."""

import math

from torch import Tensor
from torch.nn import functional as F

from models.landmarks.baselines.heatmap_decoding import argmax, dark, quarter_offset
from models.landmarks.gaussian import log_gaussian
from models.landmarks.heatmap_window import local_moments
from models.landmarks.prediction import Prediction, Targets, log_scale_of

ACTIVATIONS = ("softmax", "sigmoid", "linear")
DECODINGS = ("argmax", "quarter", "dark", "soft_argmax")
UNITS = ("px", "mm")
_REACH = 4.0  # standard deviations of the Gaussian that the local window holds to each side
_FLOOR_PX = 1.0  # least standard deviation along an axis that is reported, in pixels of the canvas


class GaussianHeatmaps:
    """One Gaussian of peak 1 per landmark, on a map of ``stride`` canvas pixels per cell.

    ``sigma`` is in canvas pixels, or in mm through the spacing of each image. Images to predict on may have
    no spacing, so in mm ``mm_per_px`` says what a canvas pixel usually is; decoding goes by it.

    ``activation`` is what makes the network's output such a map: "softmax" over the map (a probability of
    place), "sigmoid" a cell, or "linear", the output itself. ``decoding`` is one of DECODINGS.

    The uncertainty is the map's second moment around the peak. A network that has learnt Gaussians of
    variance sigma² gives the distribution of the place blurred by that Gaussian, so sigma² is taken off.
    """

    def __init__(
        self,
        *,
        stride: int = 4,
        sigma: float = 4.0,
        unit: str = "px",
        mm_per_px: float | None = None,
        activation: str = "softmax",
        decoding: str = "dark",
    ) -> None:
        _require_one_of("unit", unit, UNITS)
        _require_one_of("activation", activation, ACTIVATIONS)
        _require_one_of("decoding", decoding, DECODINGS)
        if not sigma > 0 or stride < 1:
            raise ValueError(f"heatmaps of sigma={sigma}, stride={stride}: expected both positive.")
        if (unit == "mm") != (mm_per_px is not None) or (mm_per_px is not None and not mm_per_px > 0):
            raise ValueError(
                f"heatmaps with unit={unit!r}, mm_per_px={mm_per_px}: unit 'mm' needs the usual mm of a "
                "canvas pixel, above 0; unit 'px' takes none."
            )
        self.stride, self.sigma, self.unit = stride, sigma, unit
        self.activation, self.decoding = activation, decoding
        self.usual_sigma = sigma / (mm_per_px or 1.0) / stride  # cells; what decoding expects
        self.radius = math.ceil(_REACH * self.usual_sigma)  # cells

    def sigma_cells(self, targets: Targets, width: int) -> Tensor:
        """(B, 1, 1) standard deviation in cells of maps ``width`` cells wide."""
        if self.unit == "px":
            return targets.mm_per_unit.new_full((len(targets.mm_per_unit), 1, 1), self.usual_sigma)
        return (self.sigma * width / targets.mm_per_unit[:, 0])[:, None, None]

    def encode(self, targets: Targets, size: tuple[int, int]) -> Tensor:
        """(B, K, h, w) heatmaps of ``size`` = (h, w); those of missing landmarks are zero."""
        height, width = size
        points = targets.points.masked_fill(~targets.present[..., None], 0.5)  # (B, K, 2)
        sigma = self.sigma_cells(targets, width)
        x = log_gaussian(points[..., 0], width, sigma).exp()  # (B, K, w)
        y = log_gaussian(points[..., 1], height, sigma).exp()  # (B, K, h)
        return y[..., :, None] * x[..., None, :] * targets.present[..., None, None]

    def decode(self, outputs: Tensor) -> Prediction:
        """(B, K, h, w) network outputs, float32, before the activation -> landmarks with uncertainty."""
        log_maps = self.log_maps(outputs)
        moments = local_moments(log_maps, self.radius)
        if self.decoding == "argmax":
            points = argmax(log_maps)
        elif self.decoding == "quarter":
            points = quarter_offset(log_maps)
        elif self.decoding == "dark":
            points = dark(log_maps, self.usual_sigma)
        else:
            points = moments.mean
        cells = outputs.new_tensor([outputs.shape[-1], outputs.shape[-2]])
        floor = (_FLOOR_PX / self.stride) ** 2
        variance = (moments.variance - self.usual_sigma**2).clamp(min=floor)  # (B, K, 2) cells²
        return Prediction(points / cells, log_scale_of(variance) - cells.log())

    def log_maps(self, outputs: Tensor) -> Tensor:
        """The logarithm of the maps that network outputs stand for, up to a constant; floored, so finite."""
        if self.activation == "softmax":
            return outputs
        if self.activation == "sigmoid":
            return F.logsigmoid(outputs)
        return outputs.clamp(min=1e-6).log()


def _require_one_of(name: str, value: str, options: tuple[str, ...]) -> None:
    if value not in options:
        raise ValueError(f"heatmaps with {name}={value!r}, expected one of {options}.")
