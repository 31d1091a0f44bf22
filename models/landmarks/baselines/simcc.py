"""SimCC: each coordinate as a classification over fine bins (Li et al., 2022)."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from models.backbone import TimmBackbone
from models.landmarks.gaussian import log_gaussian
from models.landmarks.heatmap_window import local_moments
from models.landmarks.landmark_model import LandmarkModel
from models.landmarks.prediction import Prediction, Targets, log_scale_of, mean_annotated
from models.loss_report import LossReport
from models.normalisation import Normalisation
from models.precision import PointwiseConv2d, full_precision

DECODINGS = ("argmax", "soft_argmax")
_STRIDE = 32  # of the backbone's coarsest map
_REACH = 4.0  # standard deviations of a label that the local window holds to each side
_FLOOR_PX = 1.0  # least standard deviation along an axis that is reported, in pixels of the canvas


class SimccCodec:
    """A landmark as two distributions over bins, along x and along y: a Gaussian of ``sigma`` canvas pixels.

    Decoded by the bin with the highest score ("argmax", as published, off by up to half a bin) or by the
    expectation around it ("soft_argmax"). The uncertainty is the second moment around the peak, less sigma².
    """

    def __init__(
        self, *, bins_per_px: float = 2.0, sigma: float = 3.0, decoding: str = "soft_argmax"
    ) -> None:
        if not (bins_per_px > 0 and sigma > 0):
            raise ValueError(f"SimCC with bins_per_px={bins_per_px}, sigma={sigma}: expected both positive.")
        if decoding not in DECODINGS:
            raise ValueError(f"SimCC with decoding={decoding!r}, expected one of {DECODINGS}.")
        self.bins_per_px, self.sigma, self.decoding = bins_per_px, sigma, decoding
        self._sigma_bins = sigma * bins_per_px

    def num_bins(self, length: int) -> int:
        """Bins of an axis of ``length`` pixels."""
        return round(length * self.bins_per_px)

    def encode(self, points: Tensor, num_bins: int) -> Tensor:
        """(B, K) normalised coordinates along one axis -> (B, K, bins) distributions."""
        return log_gaussian(points, num_bins, self._sigma_bins).softmax(-1)

    def decode(self, x: Tensor, y: Tensor) -> Prediction:
        """(B, K, bins) scores along x and along y -> landmarks with uncertainty."""
        points, log_scales = zip(self._decode_axis(x), self._decode_axis(y), strict=True)
        return Prediction(torch.stack(points, -1), torch.stack(log_scales, -1))

    def _decode_axis(self, scores: Tensor) -> tuple[Tensor, Tensor]:
        """(B, K, bins) -> normalised coordinates and log Laplace scales, each (B, K)."""
        num_bins = scores.shape[-1]
        moments = local_moments(scores[..., None, :], math.ceil(_REACH * self._sigma_bins))
        place = moments.mean[..., 0] if self.decoding == "soft_argmax" else scores.argmax(-1) + 0.5
        floor = (_FLOOR_PX * self.bins_per_px) ** 2
        variance = (moments.variance[..., 0] - self._sigma_bins**2).clamp(min=floor)  # bins²
        return place / num_bins, log_scale_of(variance) - math.log(num_bins)


@dataclass(frozen=True)
class SimccOutputs:
    """Everything the losses need; ``final`` is what users see."""

    final: Prediction
    x: Tensor  # (B, K, bins along x) scores, float32
    y: Tensor  # (B, K, bins along y)
    codec: SimccCodec


class SimccNet(LandmarkModel):
    """A backbone whose coarsest map becomes one channel per landmark, classified along x and along y.

    The classifiers are linear in all cells of the map, so the model is made for one ``size`` = (height,
    width) of images. ``mean_shape`` is kept for whoever reads a checkpoint; this model does not use it.
    """

    output_tensors = ("to_landmarks.weight", "to_landmarks.bias")

    def __init__(
        self,
        *,
        num_landmarks: int,
        backbone: TimmBackbone,
        size: tuple[int, int],
        codec: SimccCodec,
        normalise: Normalisation | None = None,
    ) -> None:
        super().__init__(num_landmarks, normalise)
        self.codec = codec
        self.size = (size[0], size[1])
        if min(self.size) < _STRIDE or any(side % _STRIDE for side in self.size):
            raise ValueError(f"SimCC with size={list(size)}: expected multiples of {_STRIDE}.")
        self.backbone = backbone
        self.to_landmarks = PointwiseConv2d(backbone.channels[-1], num_landmarks)
        num_cells = size[0] * size[1] // _STRIDE**2
        self.classify_x = nn.Linear(num_cells, codec.num_bins(size[1]))
        self.classify_y = nn.Linear(num_cells, codec.num_bins(size[0]))

    def forward(self, images: Tensor, targets: Targets | None = None) -> SimccOutputs:
        """(B, 1, H, W) images in [0, 1] -> bin scores and the landmarks read from them.

        Raises ValueError for images of another size than the model was made for.
        """
        if not torch.compiler.is_compiling() and tuple(images.shape[-2:]) != self.size:
            raise ValueError(
                f"images of {images.shape[-2]}x{images.shape[-1]} pixels (height x width), expected "
                f"{self.size[0]}x{self.size[1]}, for which this SimCC model was made."
            )
        coarse = self.backbone(self.normalise(images))[-1]
        with full_precision(images):
            cells = self.to_landmarks(coarse.float()).flatten(2)  # (B, K, cells)
            x, y = self.classify_x(cells), self.classify_y(cells)
            return SimccOutputs(self.calibrated(self.codec.decode(x.detach(), y.detach())), x, y, self.codec)


class SimccCriterion(nn.Module):
    """Kullback-Leibler divergence from the label to the predicted distribution, mean of the two axes."""

    def forward(self, outputs: SimccOutputs, targets: Targets, progress: float) -> LossReport:
        """``progress`` is not used; missing landmarks cost nothing."""
        points = targets.points.masked_fill(~targets.present[..., None], 0.5)
        parts = {}
        for axis, scores in enumerate((outputs.x, outputs.y)):
            label = outputs.codec.encode(points[..., axis], scores.shape[-1])
            divergence = (torch.xlogy(label, label) - label * scores.log_softmax(-1)).sum(-1)  # (B, K)
            parts["xy"[axis]] = mean_annotated(divergence, targets.present) / 2.0
        return LossReport(parts["x"] + parts["y"], {name: value.detach() for name, value in parts.items()})
