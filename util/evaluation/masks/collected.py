"""All that an evaluation of a mask model keeps of the images: numbers, curves, masks as run lengths."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from pycocotools import mask as coco

from datasets.masks.batch import MaskBatch
from datasets.masks.shape import Shape
from models.masks.mask_model import MaskOutputs
from util.evaluation.masks.evaluator import MaskEvaluator
from util.evaluation.masks.mask_results import MaskResults, concatenate
from util.evaluation.masks.thresholds import GRID, dice_curve
from util.prediction.masks.source import at_source, map_to_source


@dataclass(frozen=True)
class CollectedMasks:
    """N images of K classes. It can be pickled, and is small whatever the size of the images."""

    results: MaskResults
    curves: np.ndarray  # (N, K, T) Dice on the canvas by threshold, NaN where unknown or not asked for
    truth: tuple[tuple[Shape, ...], ...]  # N times K, in source pixels
    found: tuple[tuple[bytes, ...], ...]  # N times K run lengths (COCO), in source pixels
    sizes: tuple[tuple[int, int], ...]  # (width, height) of the sources
    stated: tuple[Mapping[str, str], ...]  # (N,) the data's attributes of each image, unknown ones left out
    told: tuple[tuple[np.ndarray, ...], ...]  # N times (V,) probabilities of each attribute of the model
    without_mean_field: MaskResults | None = None  # the same looks without it, where one was asked for

    def true_masks(self, index: int) -> Iterator[np.ndarray]:
        """(H, W) bool of image ``index``, class by class."""
        return (shape.mask(self.sizes[index]) for shape in self.truth[index])

    def found_masks(self, index: int) -> Iterator[np.ndarray]:
        """(H, W) bool of image ``index``, class by class."""
        return (_decoded(runs, self.sizes[index]) for runs in self.found[index])


class MaskCollector:
    """Evaluates batches; classes and thresholds are those that the batches and the outputs come with."""

    def __init__(self) -> None:
        self._parts: list[CollectedMasks] = []

    def update(self, outputs: MaskOutputs, batch: MaskBatch) -> None:
        """Add a batch, measured in source pixels."""
        thresholds = outputs.thresholds or (0.5,) * len(batch.class_set)
        for index in range(len(batch)):
            probabilities = outputs.image(index).sigmoid().cpu().numpy()  # (K, H, W) of the canvas
            height, width = probabilities.shape[1:]
            way = batch.to_source[index].cpu().numpy()
            to_source = map_to_source(way, (width, height), (height, width))
            size = batch.source_sizes[index]
            maps = (at_source(probability, to_source, size) for probability in probabilities)
            self.add(
                maps,
                batch,
                index,
                thresholds=thresholds,
                curves=_curves(probabilities, batch, index),
                told=tuple(logits[index].softmax(-1).cpu().numpy() for logits in outputs.attributes),
            )

    def add(
        self,
        maps: Iterable[np.ndarray],
        batch: MaskBatch,
        index: int,
        *,
        thresholds: Sequence[float],
        curves: np.ndarray | None = None,
        told: tuple[np.ndarray, ...] = (),
    ) -> None:
        """Add image ``index`` of a batch. maps: K probabilities (H, W) in source pixels, one by one.

        told: (V,) probabilities of every attribute that the model tells.
        """
        evaluator, found = MaskEvaluator(batch.class_set, thresholds), []

        def noted() -> Iterator[np.ndarray]:
            for probability, threshold in zip(maps, thresholds, strict=True):
                found.append(coco.encode(np.asfortranarray(probability >= threshold, np.uint8))["counts"])
                yield probability

        evaluator.add_image(noted(), batch, index)
        unknown = np.full((len(batch.class_set), len(GRID)), np.nan)
        self._parts.append(
            CollectedMasks(
                results=evaluator.results(),
                curves=(unknown if curves is None else curves)[None],
                truth=(batch.shapes[index],),
                found=(tuple(found),),
                sizes=(batch.source_sizes[index],),
                stated=(_stated(batch, index),),
                told=(told,),
            )
        )

    def results(self) -> CollectedMasks:
        """Everything so far. Raises ValueError when no image was added."""
        return joined(self._parts)


def joined(parts: Sequence[CollectedMasks]) -> CollectedMasks:
    """All images of ``parts``, in order. Raises ValueError when there is none."""
    results = concatenate([part.results for part in parts])
    return replace(
        parts[0],
        results=results,
        curves=np.concatenate([part.curves for part in parts]),
        truth=tuple(shapes for part in parts for shapes in part.truth),
        found=tuple(runs for part in parts for runs in part.found),
        sizes=tuple(size for part in parts for size in part.sizes),
        stated=tuple(stated for part in parts for stated in part.stated),
        told=tuple(told for part in parts for told in part.told),
    )


def _stated(batch: MaskBatch, index: int) -> dict[str, str]:
    """What the data say of image ``index``, by name of the attribute."""
    chosen = zip(batch.class_set.attributes.items(), batch.attributes[index].tolist(), strict=True)
    return {name: values[value] for (name, values), value in chosen if value >= 0}


def _curves(probabilities: np.ndarray, batch: MaskBatch, index: int) -> np.ndarray:
    """(K, T) Dice by threshold on the canvas; NaN for a class that is unknown in this image."""
    curves = np.full((len(probabilities), len(GRID)), np.nan)
    for k in np.flatnonzero(batch.known[index].cpu().numpy()):
        curves[k] = dice_curve(probabilities[k], batch.target(int(k))[index].cpu().numpy())
    return curves


def _decoded(runs: bytes, size: tuple[int, int]) -> np.ndarray:
    code: Any = {"size": [size[1], size[0]], "counts": runs}
    return coco.decode(code).astype(bool)
