"""Hand phantoms: synthetic X-rays of hands with 29 overlapping bones, exactly labelled; no download.

Two images a person, a right and a left hand, each a pure function of (seed, index): shape, pose, film and
artefacts draw from streams of their own, so another image size shows the same hand.
"""

from dataclasses import replace

import numpy as np

from datasets.masks.case import MaskCase
from datasets.masks.class_set import ClassSet
from datasets.masks.hand_task import HAND
from datasets.masks.raster import clipped
from datasets.masks.shape import Shape
from datasets.phantoms.drawing import Structure, attenuation_map
from datasets.phantoms.hand_bones import Bone, bones_of, hook_of_hamate
from datasets.phantoms.hand_film import (
    artefacts,
    bone_structures,
    expose_hand,
    looks,
    mark_side,
    skin,
)
from datasets.phantoms.hand_shape import Person, Pose, cut_normal, finger_axes
from transforms.geometry import flip_x, rotate, translate, warp_points

_FIELD_MM = (262.0, 318.0)  # width and height of the film: 0.128 to 0.155 mm a pixel at 2048
_SMALLEST = 128
_SESAMOID_APART = 0.08  # share of hands whose sesamoids are not counted with the thumb's metacarpal


class HandPhantom:
    """Seeded generator of cases.

    size: width and height of the image in pixels; bent: share of hands whose wrist is bent 15 to 30 degrees
    to the little finger's side, where all others are within 8 degrees. The real task has about a tenth of
    them in training and half in the test.
    """

    def __init__(self, size: int = 512, seed: int = 0, bent: float = 0.1) -> None:
        if size < _SMALLEST:
            raise ValueError(f"hand phantom size {size}: expected at least {_SMALLEST} pixels.")
        if seed < 0:
            raise ValueError(f"hand phantom seed {seed}: expected 0 or more.")
        if not 0.0 <= bent <= 1.0:
            raise ValueError(f"share of bent wrists {bent}: expected from 0 to 1.")
        self.size, self.seed, self.bent = size, seed, bent

    @property
    def class_set(self) -> ClassSet:
        return HAND

    def case(self, index: int) -> MaskCase:
        """Case number ``index``, from 0: the right hand of a person, then the left one."""
        number, left = divmod(index, 2)
        person = Person.draw(np.random.default_rng([self.seed, number, 0]))
        streams = np.random.SeedSequence([self.seed, index, 1]).spawn(4)
        pose_rng, bone_rng, film_rng, mark_rng = map(np.random.default_rng, streams)
        pose = Pose.draw(pose_rng, self.bent)
        field = pose_rng.uniform(*_FIELD_MM)
        spacing = field / self.size
        bones, sesamoids, axes = _placed(person, pose, field, pose_rng, bone_rng)
        look = looks(film_rng)
        structures = _structures(bones, sesamoids, axes, look.density, film_rng)
        size = (self.size, self.size)
        image = expose_hand(attenuation_map(structures, size, spacing), spacing, look, film_rng)
        with_sesamoids = pose_rng.random() >= _SESAMOID_APART
        outlines = {bone.name: [bone.outline / spacing] for bone in bones}
        outlines["finger-3"] += [seed / spacing for seed in sesamoids if with_sesamoids]
        mirror = flip_x(self.size) if left else np.eye(3)
        image = np.ascontiguousarray(image[:, ::-1]) if left else image
        side = "left" if left else "right"
        mark_side(image, side, spacing, mark_rng)
        return MaskCase(
            name=f"hand_{index:05d}",
            image=image,
            shapes=tuple(_shape(outlines[name], mirror, size) for name in HAND.classes),
            spacing=np.array([spacing, spacing]),
            source_file=f"hand phantom seed {self.seed} case {index}",
            person=f"P{self.seed}_{number:05d}",
            attributes={"sex": person.sex, "side": side},
        )

    def is_bent(self, index: int) -> bool:
        """Whether the wrist of case ``index`` is bent."""
        streams = np.random.SeedSequence([self.seed, index, 1]).spawn(4)
        return Pose.draw(np.random.default_rng(streams[0]), self.bent).is_bent


def _placed(
    person: Person,
    pose: Pose,
    field: float,
    pose_rng: np.random.Generator,
    bone_rng: np.random.Generator,
) -> tuple[list[Bone], list[np.ndarray], list[list[np.ndarray]]]:
    """Bones, sesamoids and the joints of every ray on the film, in mm from its top left."""
    bones, sesamoids = bones_of(person, pose, bone_rng)
    turn = rotate(2.5 * cut_normal(pose_rng) - pose_rng.uniform(0.1, 0.5) * pose.wrist)
    radius = next(bone.outline for bone in bones if bone.name == "Radius")
    wrist = warp_points(np.array([0.0, radius[:, 1].min() + 6.0]), turn)
    visible = pose_rng.uniform(48.0, 68.0)
    middle = field / 2 + 5.0 * cut_normal(pose_rng)
    rays = [[axes[0].base, *(axis.tip for axis in axes)] for axes in finger_axes(person, pose)]
    hand = rotate(pose.wrist)
    reach = [warp_points(warp_points(np.array(joints), hand), turn) for joints in rays]
    everything = np.concatenate(reach)
    centre = (everything[:, 0].min() + everything[:, 0].max()) / 2
    place = translate(middle - 0.7 * centre, field - visible - wrist[1]) @ turn
    return (
        [replace(bone, outline=warp_points(bone.outline, place)) for bone in bones],
        [warp_points(seed, place) for seed in sesamoids],
        [list(warp_points(np.array(joints), place @ hand)) for joints in rays],
    )


def _structures(
    bones: list[Bone],
    sesamoids: list[np.ndarray],
    axes: list[list[np.ndarray]],
    density: float,
    rng: np.random.Generator,
) -> list[Structure]:
    parts = skin(bones, axes, rng)
    for bone in bones:
        parts += bone_structures(bone, density, rng)
    parts += [Structure(seed, 0.5 * density, soft=0.3) for seed in sesamoids]
    parts.append(Structure(hook_of_hamate(bones), 0.22 * density, width=1.1, soft=0.3))
    return [*parts, *artefacts(axes, rng)]


def _shape(outlines: list[np.ndarray], mirror: np.ndarray, size: tuple[int, int]) -> Shape:
    """The whole silhouettes, as far as the film shows them."""
    cut = (clipped(warp_points(outline, mirror), size) for outline in outlines)
    return Shape(tuple(outline for outline in cut if len(outline)))
