"""Salience-DETR: a two-stage deformable detector whose encoder works on salient tokens only."""

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from models.backbone import STRIDES, TimmBackbone
from models.boxes.background import BackgroundEmbedding
from models.boxes.corrections import Corrections
from models.boxes.decoder import Decoded, Masks, ObjectDecoder, ObjectLayer, Stage
from models.boxes.denoising import Denoising, DenoisingQueries, Draws
from models.boxes.detections import Detections, detect
from models.boxes.encoder import SalienceFilter, SalientLayer
from models.boxes.images import Canvas, on_canvas
from models.boxes.masked import PaddingMask, masked
from models.boxes.neck import BoxNeck, level_shapes, level_strides
from models.boxes.outputs import BoxOutputs, Denoised
from models.boxes.position import encode_cells
from models.boxes.projection import TokenProjection, anchors
from models.boxes.proposals import ProposalHead, Proposals
from models.boxes.published_refinement import PublishedRefinement
from models.boxes.pyramid import Pyramid, nearest_cells, put, tokens, touched_cells, wide
from models.boxes.ratios import FilterRatios
from models.boxes.refinement import BoxRefinement, Refined, RegionSource
from models.boxes.salience import SalienceScores
from models.boxes.second_neck import SecondNeck
from models.boxes.selection import Selection, joint_selection, rank_jointly, select_apart
from models.boxes.targets import BoxTargets
from models.normalisation import Normalisation, PerChannel


class SalienceDetr(nn.Module):
    """Boxes of ``num_classes`` classes in images of any size (Hou et al., Salience DETR, 2024).

    ``num_maps`` of the backbone's maps, from the coarsest, and ``extra_levels`` below them make L levels.
    ``level_ratios`` is the share of a level's tokens that the encoder takes, ``layer_ratios`` the share of
    these that each of its layers works on. ``num_attending`` of them attend to each other; the decoder works
    on ``num_queries`` boxes. ``table_size``: cells of a side that the background embedding tells apart.
    ``most_denoised``: objects of an image that start denoising queries. ``dense_proposals``: every token near
    an object learns its class and box (``dense.dense_matches``), not only the one query that is matched to
    it: quicker where images are few. ``refinement`` looks at the best
    boxes once more. ``clip`` and ``nms_overlap`` see ``detections.detect``. ``corrections``: where it leaves
    the published computation (all of them: the right mode, the default).
    """

    def __init__(
        self,
        *,
        num_classes: int,
        backbone: TimmBackbone,
        num_maps: int = 3,
        extra_levels: int = 1,
        embed_dim: int = 256,
        num_heads: int = 8,
        num_points: int = 4,
        hidden_dim: int = 2048,
        num_queries: int = 900,
        level_ratios: Sequence[float] = (0.4, 0.8, 1.0, 1.0),
        layer_ratios: Sequence[float] = (1.0, 0.8, 0.6, 0.6, 0.4, 0.2),
        num_decoder_layers: int = 6,
        num_attending: int = 300,
        num_detections: int = 300,
        table_size: int = 200,
        most_denoised: int | None = 100,
        dense_proposals: bool = False,
        clip: bool = True,
        nms_overlap: float | None = None,
        refinement: BoxRefinement | PublishedRefinement | None = None,
        corrections: Corrections | None = None,
        normalise: Normalisation | None = None,
    ) -> None:
        super().__init__()
        self.corrections = fixes = corrections or Corrections()
        num_levels = num_maps + extra_levels
        self.num_classes, self.num_queries, self.num_detections = num_classes, num_queries, num_detections
        self.num_maps, self.extra_levels, self.clip, self.nms_overlap = (
            num_maps,
            extra_levels,
            clip,
            nms_overlap,
        )
        self.strides = level_strides(STRIDES[-num_maps:], extra_levels)
        self.normalise = normalise or PerChannel()
        self.backbone = backbone
        self.padding_mask = PaddingMask(backbone)
        self.neck = BoxNeck(backbone.channels[-num_maps:], embed_dim, extra_levels=extra_levels)
        self.ratios = FilterRatios(level_ratios, layer_ratios, num_levels)
        self.level_embed = nn.Parameter(torch.randn(num_levels, embed_dim))
        self.projection = TokenProjection(embed_dim)
        self.salience = SalienceScores(embed_dim, num_levels, add_scores=fixes.add_scores)
        layer: dict[str, Any] = {
            "num_levels": num_levels,
            "num_points": num_points,
            "hidden_dim": hidden_dim,
            "gathered": fixes.gather_samples,
        }
        self.encoder = SalienceFilter(
            [
                SalientLayer(
                    embed_dim,
                    num_heads,
                    num_attending=num_attending,
                    bounded_priority=fixes.bounded_priority,
                    **layer,
                )
                for _ in layer_ratios
            ],
            BackgroundEmbedding(embed_dim, table_size),
        )
        self.second_neck = SecondNeck(embed_dim, num_levels, fold_norms=fixes.fold_norms)
        self.proposals = ProposalHead(
            embed_dim,
            num_classes,
            apart=fixes.images_apart,
            boxes_of_chosen=fixes.boxes_of_chosen,
            dense=dense_proposals,
        )
        self.content = nn.Embedding(num_queries, embed_dim)
        self.decoder = ObjectDecoder(
            embed_dim,
            num_classes,
            layers=[ObjectLayer(embed_dim, num_heads, **layer) for _ in range(num_decoder_layers)],
            normed_references=fixes.normed_references,
            canvas_positions=not fixes.padding_masked,
        )
        self.refinement = refinement
        self.denoising = DenoisingQueries(embed_dim, num_classes, most_objects=most_denoised)

    data_tensors: ClassVar[tuple[str, ...]] = ("ratios.level_ratios", "ratios.layer_ratios")  # of the config

    @property
    def output_tensors(self) -> tuple[str, ...]:
        """Names of the tensors whose first axis runs over the classes."""
        heads = ("proposals.classify.", "decoder.class_heads.", "denoising.labels.")
        return tuple(name for name in self.state_dict() if name.startswith(heads))

    def forward(
        self,
        images: Tensor,
        targets: BoxTargets | None = None,
        *,
        sizes: Tensor | None = None,
        draws: Draws | None = None,
    ) -> BoxOutputs:
        """(B, C, H, W) images in [0, 1] -> boxes after every layer.

        ``sizes`` (B, 2): width and height of the images in the upper left corners of the canvas; those of
        ``targets`` in training, the whole canvas without either. With ``targets`` queries that start from
        distorted truth are added; ``draws`` sets what is random in them.
        """
        if targets is not None:
            targets.require_known(self.num_classes)
            sizes = targets.sizes
        canvas = on_canvas(images, sizes, self.normalise)
        maps = self._maps(canvas)
        pyramid = self._pyramid(maps, canvas)
        covered = pyramid.covered() if self.corrections.padding_masked else None
        levels = self.neck(maps, covered)
        features = tokens(levels)
        position = encode_cells(pyramid, features.shape[-1]).to(features.dtype)
        position = position + self.level_embed[pyramid.level]
        anchor, used = anchors(pyramid, border_cells=self.corrections.border_cells)
        salience = self.salience(self.projection(features + position, used), pyramid, covered)
        memory = self._memory(features, position, pyramid, self.selection(salience, pyramid), covered)
        proposals = self.proposals(self.projection(memory, used), anchor, pyramid, self.num_queries)
        denoising, started = self._denoising(targets, draws)
        decoded = self._decode(memory, pyramid, proposals, denoising)
        count = 0 if denoising is None else denoising.count
        stages = tuple(_part(stage, slice(count, None)) for stage in decoded.stages)
        denoised = None
        if denoising is not None and started is not None:
            before = tuple(_part(stage, slice(count)) for stage in decoded.stages)
            denoised = Denoised(before, denoising, started)
        finest = masked(pyramid.maps(memory)[0], covered[0] if covered else None)
        source = RegionSource(levels[0], finest, self.strides[0], canvas.sizes)
        refined = self._refined(source, decoded.features[:, count:], stages[-1], proposals.real)
        last = stages[-1]
        if refined is not None:
            last = Stage(last.logits, put(last.boxes, refined.chosen, refined.boxes))
        return BoxOutputs(
            final=self._detections(last, proposals.real, canvas.sizes),
            stages=stages,
            proposals=proposals,
            salience=tuple(salience),
            pyramid=pyramid,
            canvas=canvas.shape,
            sizes=canvas.sizes,
            denoised=denoised,
            refined=refined,
        )

    def _maps(self, canvas: Canvas) -> list[Tensor]:
        """The backbone's maps of strides 8 (or 4) to 32."""
        masks = self.corrections.padding_masked and not canvas.whole
        self.padding_mask.set(canvas.sizes if masks else None, canvas.shape)
        return list(self.backbone(canvas.images))[-self.num_maps :]

    def _pyramid(self, maps: Sequence[Tensor], canvas: Canvas) -> Pyramid:
        shapes, dtype = level_shapes(maps, self.extra_levels), wide(canvas.images.dtype)
        if self.corrections.padding_masked:
            counts = touched_cells(shapes, canvas.sizes, self.strides, dtype)
        else:
            counts = nearest_cells(shapes, canvas.sizes, canvas.shape, dtype)
        return Pyramid(tuple(shapes), counts, canvas.whole)

    def selection(self, salience: Sequence[Tensor], pyramid: Pyramid) -> Selection:
        """The tokens that the encoder works on."""
        scores = [score.detach() for score in salience]
        if self.corrections.images_apart:
            return select_apart(scores, pyramid, self.ratios.levels, self.ratios.layers)
        index = rank_jointly(scores, pyramid, self.ratios.levels)
        return joint_selection(index, scores, pyramid, self.ratios.levels, self.ratios.layers)

    def _memory(
        self,
        features: Tensor,
        position: Tensor,
        pyramid: Pyramid,
        selection: Selection,
        covered: Sequence[Tensor] | None,
    ) -> Tensor:
        """(B, S, C): the features after the encoder and the second neck."""
        encoded = self.encoder(
            features,
            position,
            pyramid,
            selection,
            classify=self.proposals.classify,
            apart=self.corrections.images_apart,
        )
        return tokens(self.second_neck(pyramid.maps(encoded), covered))

    def _denoising(
        self, targets: BoxTargets | None, draws: Draws | None
    ) -> tuple[Denoising | None, BoxTargets | None]:
        if targets is None:
            return None, None
        chosen = self.denoising.chosen(targets)
        return self.denoising(chosen, draws), chosen

    def _decode(
        self, memory: Tensor, pyramid: Pyramid, proposals: Proposals, denoising: Denoising | None
    ) -> Decoded:
        """All queries after the decoder; the denoising ones, if any, stand before the others."""
        batch, count = proposals.index.shape
        content = self.content.weight[:count].expand(batch, -1, -1)
        boxes, real, hidden = proposals.boxes.detach(), proposals.real, None
        if denoising is not None:
            content = torch.cat([denoising.content.to(content.dtype), content], 1)
            boxes = torch.cat([denoising.boxes.to(boxes.dtype), boxes], 1)
            real = None if real is None else torch.cat([denoising.real, real], 1)
            hidden = denoising.hidden(count)
        every = self.training or not self.corrections.boxes_of_chosen
        masks = Masks(hidden, None if real is None else ~real)
        return self.decoder(content, boxes, memory, pyramid, masks=masks, every_stage=every)

    def _refined(
        self, source: RegionSource, queries: Tensor, stage: Stage, real: Tensor | None
    ) -> Refined | None:
        if self.refinement is None:
            return None
        return self.refinement(source, queries, stage.logits, stage.boxes, real)

    def _detections(self, stage: Stage, real: Tensor | None, sizes: Tensor) -> Detections:
        return detect(
            stage,
            real,
            sizes,
            count=min(self.num_detections, stage.logits[0].numel()),
            clip=self.clip,
            nms_overlap=self.nms_overlap,
        )


def _part(stage: Stage, queries: slice) -> Stage:
    return Stage(stage.logits[:, queries], stage.boxes[:, queries])
