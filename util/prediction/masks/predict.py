"""From an image as it was read to overlapping masks in its own pixels."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from datasets.files.image_files import SourceImage
from datasets.masks.class_set import ClassSet
from datasets.masks.meaning import MaskMeaning
from datasets.sample import images_of
from models.masks.mask_model import MaskModel, enlarged
from transforms.augment import EvalTransforms
from transforms.sample import Sample
from util.config import instantiate
from util.prediction.masks.answers import MaskAnswers
from util.prediction.masks.image_masks import ImageMasks
from util.prediction.masks.looks import MaskLooks
from util.prediction.masks.mean_field import changed_shares
from util.prediction.masks.source import at_source, map_to_source
from util.prediction.masks.windows import maps_in_windows

logger = logging.getLogger(__name__)

_STEP = 32  # canvases are multiples of it


@dataclass(frozen=True)
class Member:
    """A model with the canvas (height, width) that it was trained on."""

    model: MaskModel
    class_set: ClassSet
    canvas: tuple[int, int]

    @property
    def attributes(self) -> Mapping[str, tuple[str, ...]]:
        """What it tells of a whole image, and the values that it tells apart."""
        return self.class_set.attributes if self.model.attribute_values else {}


@dataclass(frozen=True)
class LookMaps:
    """What one look by one model gives: maps of a canvas, and the way from the canvas to the source."""

    logits: Tensor  # (K, h, w) on the CPU
    canvas: tuple[int, int]  # (height, width)
    to_source: np.ndarray  # (3, 3) pixels of the canvas -> pixels of the source
    told: tuple[np.ndarray, ...]  # (V,) probabilities of each attribute
    changed: list[float] | None = None  # (K,) what the mean field changed, as shares

    def at_source(self, index: int, size: tuple[int, int]) -> np.ndarray:
        """(H, W) float32 probabilities of one class in source pixels; ``size``: (width, height)."""
        maps = enlarged(self.logits[None, index : index + 1].float(), self.canvas)[0, 0]
        height, width = self.canvas
        to_source = map_to_source(self.to_source, (width, height), maps.shape)
        return at_source(maps.sigmoid().numpy(), to_source, size)


@dataclass(frozen=True)
class MaskPredictor:
    """One model from a file: one plain look, or a member of what ``MaskLooks.predictor`` puts together."""

    file: Path
    meaning: MaskMeaning
    member: Member

    @classmethod
    def of(cls, loaded: Any) -> MaskPredictor:
        """``loaded``: a ``util.checkpoints.checkpoint.LoadedModel``."""
        transforms = instantiate(loaded.config.eval_transforms)
        size = transforms.height, transforms.width
        return cls(loaded.file, loaded.meaning, Member(loaded.model, loaded.meaning.class_set, size))

    @property
    def answers(self) -> MaskAnswers:
        return MaskAnswers(self.meaning.class_set, self.meaning.labels, self.member.attributes)

    def __call__(self, images: Sequence[SourceImage]) -> list[ImageMasks]:
        """The masks of each image, in order. Raises ValueError when a prediction is not finite."""
        return self.together([self], MaskLooks((self.file,)))(images)

    @staticmethod
    def together(members: Sequence[MaskPredictor], looks: MaskLooks) -> MaskFinder:
        """What looks at images as ``looks`` says, by all of them. Raises ValueError when classes differ."""
        labels = " + ".join(dict.fromkeys(member.meaning.labels for member in members))
        finder = MaskFinder([member.member for member in members], looks, labels)
        if not finder.attributes and any(member.member.attributes for member in members):
            named = "; ".join(f"{one.file}: {sorted(one.member.attributes) or 'none'}" for one in members)
            logger.warning("attributes are left out, the models tell different ones (%s)", named)
        return finder


class MaskFinder:
    """Looks at an image as ``looks`` says, by all ``members``, and averages their probabilities.

    The averages are taken in source pixels, one class at a time, so that neither the looks' different
    canvases nor many classes cost memory: each is a bit of the result before the next one begins.
    ``attributes`` are told where all members tell the same ones.

    Raises ValueError when the members' classes differ, or a mirror image is asked for and pairs are unknown.
    """

    def __init__(self, members: Sequence[Member], looks: MaskLooks, labels: str = "") -> None:
        self.members, self.looks, self.file = list(members), looks, looks.checkpoints[0]
        self.class_set = members[0].class_set
        for number, member in enumerate(members):
            if member.class_set.classes != self.class_set.classes:
                raise ValueError(
                    f"{looks.checkpoints[number]}: finds {list(member.class_set.classes)}, the first "
                    f"checkpoint {list(self.class_set.classes)}. An ensemble needs the same ones, in order."
                )
        told = [list(member.attributes.items()) for member in members]
        self.attributes = dict(told[0]) if all(other == told[0] for other in told) else {}
        self.answers = MaskAnswers(self.class_set, labels, self.attributes)
        self._order = self._mirrored() if looks.flip else ()
        self.thresholds = self._thresholds()

    def _mirrored(self) -> tuple[int, ...]:
        """(K,) the class that takes the place of each in a mirror image, as all members know it."""
        for file, member in zip(self.looks.checkpoints, self.members, strict=True):
            if member.class_set.pairs is None:
                raise ValueError(
                    f"{file}: --flip, but which classes a mirror image exchanges is not known: the data "
                    "that it was trained on did not say. Leave out --flip."
                )
            if member.class_set.mirrored() != self.class_set.mirrored():
                raise ValueError(
                    f"{file}: --flip, but a mirror image exchanges other classes there than in {self.file}. "
                    "Leave out --flip, or one of the two."
                )
        return self.class_set.mirrored()

    def without_mean_field(self) -> MaskFinder | None:
        """What looks in the same way but for the mean field; None where there is none."""
        if self.looks.mean_field is None:
            return None
        return MaskFinder(self.members, replace(self.looks, mean_field=None), self.answers.labels)

    def __call__(self, images: Sequence[SourceImage]) -> list[ImageMasks]:
        """The masks of each image, in order. Raises ValueError when a prediction is not finite."""
        return [self.find(image) for image in images]

    def find(self, image: SourceImage) -> ImageMasks:
        """The masks of one image."""
        size = image.image.shape[1], image.image.shape[0]
        taken = list(self.look(image))
        planes = np.zeros((*image.image.shape[:2], self.class_set.num_bytes), np.uint8)
        for k, probability in enumerate(self.probabilities(taken, size)):
            mask = self.looks.cleaning(probability >= self.thresholds[k], image.spacing)
            planes[..., k // 8] |= mask.astype(np.uint8) << k % 8
        attributes = {
            name: dict(zip(values, probabilities.tolist(), strict=True))
            for (name, values), probabilities in zip(self.attributes.items(), self.told(taken), strict=True)
        }
        return ImageMasks(planes, len(self.class_set), image.spacing, attributes, self._notes(taken))

    def probabilities(self, taken: Sequence[LookMaps], size: tuple[int, int]) -> Iterator[np.ndarray]:
        """(H, W) float32 in source pixels, class by class: the mean of all looks."""
        for k in range(len(self.class_set)):
            total = taken[0].at_source(k, size)
            for look in taken[1:]:
                total += look.at_source(k, size)
            total /= len(taken)
            yield total

    def told(self, taken: Sequence[LookMaps]) -> tuple[np.ndarray, ...]:
        """(V,) probabilities of every one of ``attributes``: the mean of all looks."""
        if not self.attributes:
            return ()
        return tuple(np.mean(looks, 0) for looks in zip(*(look.told for look in taken), strict=True))

    @torch.inference_mode()
    def look(self, image: SourceImage) -> Iterator[LookMaps]:
        """Every look at ``image`` by every member. Raises ValueError, naming it, when one is not finite."""
        for member in self.members:
            for scale in self.looks.scales:
                height, width = (max(round(side * scale / _STEP), 1) * _STEP for side in member.canvas)
                sample = _on_canvas(image, (height, width))
                for mirrored in (False, True) if self.looks.flip else (False,):
                    yield self._look(member, sample, mirrored)

    def _look(self, member: Member, sample: Sample, mirrored: bool) -> LookMaps:
        device = member.model.thresholds.device
        images = images_of([sample]).to(device)
        images = images.flip(-1) if mirrored else images
        logits, attributes = self._seen(member, images)
        by_class = (logits[:, k] for k in range(logits.shape[1]))  # one at a time: memory
        if not all(bool(found.isfinite().all()) for found in (*by_class, *attributes)):
            raise ValueError(
                f"{sample.case}: the prediction is not finite. The weights have diverged: use another "
                "checkpoint."
            )
        height, width = images.shape[-2:]
        changed = None
        if self.looks.mean_field is not None:
            before = enlarged(logits.float(), (height, width))
            order = self._order if mirrored else range(len(self.class_set))
            thresholds = [self.thresholds[k] for k in order]
            undecided = before.new_tensor(thresholds).logit()[:, None, None]
            logits = self.looks.mean_field(before - undecided, images) + undecided
            changed = changed_shares(before, logits, thresholds)
        if mirrored:
            logits = logits.flip(-1)[:, list(self._order)]
            changed = changed and [changed[k] for k in self._order]
            orders = member.class_set.mirrored_values()[: len(attributes)]  # without heads none
            attributes = [one[:, list(order)] for one, order in zip(attributes, orders, strict=True)]
        told = tuple(one[0].softmax(-1).cpu().numpy() for one in attributes)
        return LookMaps(logits[0].cpu(), (height, width), sample.to_source, told, changed)

    def _seen(self, member: Member, images: Tensor) -> tuple[Tensor, Sequence[Tensor]]:
        """(1, K, h, w) logits of the maps and (1, V) of each attribute, of one canvas.

        Heads learnt from whole images; where the canvas is seen in windows, they are shown it reduced.
        """
        if self.looks.windows is None:
            outputs = member.model(images)
            return outputs.logits, outputs.attributes
        maps_of = partial(_maps_of, member.model)
        logits = maps_in_windows(maps_of, images, window=member.canvas, overlap=self.looks.windows)
        if not self.attributes:
            return logits, ()
        whole = F.interpolate(images, member.canvas, mode="bilinear", antialias=True)
        return logits, member.model(whole).attributes

    def _thresholds(self) -> list[float]:
        """(K,) those asked for, or the mean of the members' own."""
        if self.looks.threshold is not None:
            return [self.looks.threshold] * len(self.class_set)
        own = torch.stack([member.model.thresholds.cpu() for member in self.members])
        return own.mean(0).tolist()

    def _notes(self, taken: Sequence[LookMaps]) -> dict[str, Any]:
        """What the mean field changed: the mean share over the looks, by class."""
        shares = [look.changed for look in taken if look.changed is not None]
        if not shares:
            return {}
        means = np.mean(shares, 0).tolist()
        return {"mean_field_changed": dict(zip(self.class_set.classes, means, strict=True))}


def _on_canvas(image: SourceImage, canvas: tuple[int, int]) -> Sample:
    name = image.file.name if image.slice is None else f"{image.file.name} slice {image.slice}"
    sample = Sample(image=image.image, spacing=image.spacing, to_source=np.eye(3), case=name)
    return EvalTransforms(canvas)(sample, np.random.default_rng(0))


def _maps_of(model: MaskModel, images: Tensor) -> Tensor:
    return model(images).logits
