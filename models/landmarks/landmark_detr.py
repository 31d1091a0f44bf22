"""The landmark DETR: one query per landmark, from the mean shape to the last millimetre."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from models.backbone import STRIDES, TimmBackbone, require_multiple
from models.encoder import SalienceEncoder
from models.landmarks.decoder import LandmarkDecoder, Queries, StartQueries
from models.landmarks.heatmap import HeatmapHead, read_peaks, salience_levels
from models.landmarks.landmark_model import LandmarkModel
from models.landmarks.prediction import Prediction, Targets
from models.landmarks.roi import ImageStem, RoiStage
from models.landmarks.shape_search import ShapeSearch
from models.neck import UNetNeck
from models.normalisation import Normalisation
from models.precision import full_precision


@dataclass(frozen=True)
class LandmarkOutputs:
    """Everything the losses need; ``final`` is what users see."""

    predictions: tuple[Prediction, ...]  # one per decoder layer and ROI stage, coarse to fine
    denoised: tuple[Prediction, ...]  # the same stages started from jittered truth; empty outside training
    heatmaps: Tensor  # (B, K, H/4, W/4) logits

    @property
    def final(self) -> Prediction:
        return self.predictions[-1]


class LandmarkDetr(LandmarkModel):
    """Direct regression of K landmarks with a salience-filtered deformable encoder.

    ``roi_windows`` are half heights of the windows as shares of the canvas height: (0.0235, 0.008) is
    +-5.6 and +-1.9 mm on a 240 mm high X-ray. ``jitter`` is the Laplace scale of the denoising groups,
    as a share of the canvas for the decoder and of the window's half height for the ROI stages; either is
    the same share of the canvas along x and along y. ``fine_dim`` is the width of the neck's finest map.
    ``search_window``: between decoder and ROI stages, all points go to peaks of their heatmaps that lie as a
    shape does (``models.landmarks.shape_search``); for rows of landmarks that look alike. None: they stay.
    """

    output_tensors = ("heatmap.classify.weight", "start.content")
    data_tensors = ("mean_shape", "search.shape", "search.gains")

    def __init__(
        self,
        *,
        num_landmarks: int,
        backbone: TimmBackbone,
        embed_dim: int,
        encoder: SalienceEncoder,
        decoder: LandmarkDecoder,
        roi_windows: Sequence[float] = (0.0235, 0.008),
        fine_dim: int = 64,
        stem_channels: int = 16,
        jitter: tuple[float, float] = (0.02, 0.35),
        search_window: float | None = None,
        normalise: Normalisation | None = None,
    ) -> None:
        super().__init__(num_landmarks, normalise)
        self.jitter = jitter
        self.backbone = backbone
        self.neck = UNetNeck(backbone.channels, embed_dim, fine_dim=fine_dim, norm=backbone.norm)
        self.heatmap = HeatmapHead(fine_dim, num_landmarks)
        self.encoder = encoder
        self.start = StartQueries(embed_dim, num_landmarks)
        self.decoder = decoder
        self.search = None if search_window is None else ShapeSearch(num_landmarks, search_window)
        self.stem = ImageStem(stem_channels)
        self.roi = nn.ModuleList(
            RoiStage(embed_dim, (fine_dim,) if index == 0 else (fine_dim, stem_channels), window)
            for index, window in enumerate(roi_windows)
        )

    def forward(self, images: Tensor, targets: Targets | None = None) -> LandmarkOutputs:
        """(B, 1, H, W) images in [0, 1] -> landmarks at every stage.

        With ``targets`` (training) a second group of queries starts at annotated points plus noise. Raises
        ValueError for a canvas that does not divide into the backbone's coarsest cells.
        """
        require_multiple(images, STRIDES[-1])
        images = self.normalise(images)
        features = self.neck(self.backbone(images))
        heatmaps = self.heatmap(features.fine)
        salience = salience_levels(heatmaps, [m.shape[-2:] for m in features.levels])
        levels = self.encoder(features.levels, salience)
        detail = self.stem(images)
        with full_precision(images):
            fine, detail = features.fine.float(), detail.float()
            queries = self.start(self.mean_shape, *read_peaks(heatmaps.detach()))
            queries = self._add_denoising(queries, targets)
            queries, stages = self.decoder(queries, [m.float() for m in levels])
            queries = self._search(queries, heatmaps.detach())
            for stage in cast(Iterable[RoiStage], self.roi):
                queries = self._jitter(queries, targets, self.jitter[1] * stage.half_height)
                queries, prediction = stage(queries, (fine, detail)[: stage.num_maps])
                stages.append(prediction)
            stages[-1] = self.calibrated(stages[-1])
        return LandmarkOutputs(
            predictions=tuple(_group(stage, 0) for stage in stages),
            denoised=() if targets is None else tuple(_group(stage, 1) for stage in stages),
            heatmaps=heatmaps,
        )

    def _search(self, queries: Queries, heatmaps: Tensor) -> Queries:
        """The real group at places that belong together; the denoising one starts at the truth anyway."""
        if self.search is None:
            return queries
        points = self.search(queries.points[:, 0], heatmaps)
        return Queries(queries.content, torch.cat([points[:, None], queries.points[:, 1:]], 1))

    def _add_denoising(self, queries: Queries, targets: Targets | None) -> Queries:
        """Append a group with the same content, started from jittered truth (DN-DETR, Li et al., 2022)."""
        if targets is None:
            return queries
        doubled = Queries(queries.content.expand(-1, 2, -1, -1), queries.points.expand(-1, 2, -1, -1))
        return self._jitter(doubled, targets, self.jitter[0])

    def _jitter(self, queries: Queries, targets: Targets | None, scale: float) -> Queries:
        """Put the denoising group at truth plus Laplace(``scale`` of the canvas); missing landmarks stay."""
        if targets is None:
            return queries
        uniform = torch.rand_like(targets.points) - 0.5
        noise = -scale * uniform.sign() * torch.log1p(-2.0 * uniform.abs().clamp(max=0.4999))
        noisy = torch.where(targets.present[..., None], targets.points + noise, queries.points[:, 1])
        return Queries(queries.content, torch.stack([queries.points[:, 0], noisy], 1))


def _group(prediction: Prediction, index: int) -> Prediction:
    return Prediction(prediction.points[:, index], prediction.log_scale[:, index])
