"""Outlines of the 29 bones of a hand, each its whole silhouette, also where another bone covers it.

In mm in the frame of ``hand_shape``: a right hand, the head of the capitate in the origin.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from datasets.phantoms.drawing import blob, ellipse, smooth
from datasets.phantoms.hand_shape import (
    DISTAL_WIDTHS,
    METACARPAL_WIDTHS,
    MIDDLE_WIDTHS,
    PROXIMAL_WIDTHS,
    Axis,
    Person,
    Pose,
    cut_normal,
    finger_axes,
)
from transforms.geometry import rotate, translate, warp_points

_FINGER_OF_RAY = (1, 4, 8, 12, 16)  # number of each ray's distal phalanx; numbers rise to the palm
# Corners of carpal bones in mm from their centre, and that centre; the rows turn apart, so they come by row.
_DISTAL_ROW = {
    "Trapezium": (
        (-17.8, -12.4),
        ((-7.7, -5.0), (-1.0, -8.3), (6.1, -6.0), (8.0, 1.0), (4.8, 7.0), (-3.4, 6.0)),
    ),
    "Trapezoid": (
        (-10.5, -15.5),
        ((-6.1, -4.2), (0.5, -6.5), (5.6, -3.8), (5.1, 2.8), (0.0, 6.1), (-5.3, 2.8)),
    ),
    "Capitate": (
        (0.5, -9.5),
        (
            (-7.0, -11.5),
            (0.5, -13.0),
            (7.5, -11.0),
            (6.5, -2.0),
            (6.0, 7.0),
            (0.0, 12.5),
            (-6.0, 7.5),
            (-6.0, -2.0),
        ),
    ),
    "Hamate": (
        (12.0, -8.5),
        (
            (-6.3, -10.2),
            (2.0, -10.2),
            (9.0, -7.2),
            (7.0, -1.0),
            (1.4, 5.2),
            (-3.5, 11.0),
            (-6.5, 7.0),
            (-5.5, -2.0),
        ),
    ),
}
_PROXIMAL_ROW = {
    "Scaphoid": (
        (-12.0, 0.5),
        (
            (-10.2, -7.5),
            (-5.0, -10.2),
            (0.0, -5.0),
            (6.7, 0.7),
            (8.7, 7.0),
            (4.0, 9.7),
            (-3.7, 5.7),
            (-8.8, 0.3),
        ),
    ),
    "Lunate": (
        (2.5, 8.5),
        ((-7.5, -4.5), (0.0, -3.0), (7.0, -6.5), (8.0, 1.0), (3.0, 6.5), (-4.5, 6.5), (-8.5, 1.5)),
    ),
    "Triquetrum": (
        (15.5, 3.5),
        ((-5.6, -4.6), (1.4, -7.0), (6.5, -3.7), (6.0, 3.2), (-0.5, 6.5), (-6.0, 3.2)),
    ),
    "Pisiform": ((17.5, 5.5), ((-4.5, -3.5), (0.5, -5.8), (4.8, -3.0), (4.6, 2.8), (0.0, 5.8), (-4.6, 2.8))),
}
_SHAFT_MM = 160.0  # of radius and ulna beyond the wrist; films cut them off
_SHARE_OF_PROXIMAL_ROW = 0.5  # of the wrist's turn


@dataclass(frozen=True)
class Bone:
    """One bone: its silhouette and what of it is seen apart."""

    name: str
    outline: np.ndarray  # (N, 2) mm, closed
    cortex: float  # mm, thickness of its wall at mid-shaft
    depth: float  # mm, thickness along the beam


def bones_of(person: Person, pose: Pose, rng: np.random.Generator) -> tuple[list[Bone], list[np.ndarray]]:
    """The 29 bones in the frame of the forearm, in no order, and the thumb's two sesamoids."""
    turn = rotate(pose.wrist)
    distal = [*_long_bones(person, pose), *_carpals(_DISTAL_ROW, person, rng)]
    found = [_moved(bone, turn) for bone in distal]
    half = rotate(_SHARE_OF_PROXIMAL_ROW * pose.wrist)
    row = dict(_PROXIMAL_ROW)
    row["Scaphoid"] = (row["Scaphoid"][0], _foreshortened(row["Scaphoid"][1], pose.wrist))
    slid = translate(-0.08 * pose.wrist * person.size, 0.0)  # the row glides to the thumb's side
    found += [_moved(bone, slid @ half) for bone in _carpals(row, person, rng)]
    found += _forearm(person, rng)
    return found, [warp_points(seed, turn) for seed in _sesamoids(person, pose, rng)]


def _long_bones(person: Person, pose: Pose) -> list[Bone]:
    found = []
    for ray, axes in enumerate(finger_axes(person, pose)):
        widths = [METACARPAL_WIDTHS[ray], PROXIMAL_WIDTHS[ray], MIDDLE_WIDTHS[ray], DISTAL_WIDTHS[ray]]
        drawn = (metacarpal, phalanx, phalanx, distal_phalanx)
        parts = [(draw, w) for draw, w in zip(drawn, widths, strict=True) if w is not None]
        last = _FINGER_OF_RAY[ray] + len(axes) - 1
        for place, (axis, (draw, values)) in enumerate(zip(axes, parts, strict=True)):
            size = person.widths * np.array(values, np.float64)
            cortex = person.size * (2.2 if place == 0 else 1.5)
            found.append(Bone(f"finger-{last - place}", draw(axis, size), cortex, 0.9 * size[1]))
    return found


def metacarpal(axis: Axis, widths: np.ndarray) -> np.ndarray:
    """Base like a saddle, slender shaft, round head."""
    base, shaft, head = widths / 2.0
    right = [(0.02, 0.75 * base), (0.08, base), (0.22, 0.75 * base), (0.5, shaft), (0.75, 1.15 * shaft)]
    right += [(0.87, 0.98 * head), (0.93, head), (0.985, 0.55 * head)]
    return _mirrored(axis, right, tip=1.0, base=0.03)


def phalanx(axis: Axis, widths: np.ndarray) -> np.ndarray:
    """Wide hollow base, waist, a head of two condyles."""
    base, waist, head = widths / 2.0
    right = [(0.0, 0.7 * base), (0.06, base), (0.2, 0.82 * base), (0.6, waist), (0.8, 0.95 * waist)]
    right += [(0.91, head), (0.97, 0.9 * head), (1.0, 0.5 * head)]
    return _mirrored(axis, right, tip=0.985, base=0.035)


def distal_phalanx(axis: Axis, widths: np.ndarray) -> np.ndarray:
    """Wide base, waist, a tuft like a spade."""
    base, waist, tuft = widths / 2.0
    right = [(0.0, 0.7 * base), (0.08, base), (0.25, 0.62 * base), (0.55, waist), (0.78, 0.92 * tuft)]
    right += [(0.88, tuft), (0.97, 0.7 * tuft)]
    return _mirrored(axis, right, tip=1.0, base=0.04)


def _mirrored(axis: Axis, right: Sequence[tuple[float, float]], *, tip: float, base: float) -> np.ndarray:
    """A closed outline through (share of length, mm across) on the right and likewise on the left."""
    points = [axis.at(base, 0.0), *(axis.at(*where) for where in right), axis.at(tip, 0.0)]
    points += [axis.at(along, -across) for along, across in reversed(right)]
    return _closed(points)


def _closed(points: Sequence[np.ndarray]) -> np.ndarray:
    """A smooth closed curve; the ends meet in a point that is run through."""
    doubled = [*points[-2:], *points, *points[:3]]
    curve = smooth(doubled)
    start = 2 * 10  # ``smooth`` puts ten points on every piece
    return curve[start : start + 10 * len(points)]


def _carpals(row: dict, person: Person, rng: np.random.Generator) -> list[Bone]:
    found = []
    for name, (centre, corners) in row.items():
        wobble = rng.normal(0.0, 0.25, (len(corners), 2))
        place = np.array(centre) + np.array([cut_normal(rng), cut_normal(rng)]) * 0.35
        size = 1.0 + 0.03 * cut_normal(rng)
        points = person.size * (place + size * np.array(corners, np.float64) + wobble)
        depth = 12.0 if name == "Pisiform" else 19.0
        found.append(Bone(name, _closed(list(points)), 0.7 * person.size, depth * person.size))
    return found


def _foreshortened(corners: Sequence[tuple[float, float]], wrist: float) -> np.ndarray:
    """The scaphoid's corners: it tips towards the beam, and looks shorter, the more the wrist is radial."""
    axis = np.array([0.72, 0.69])
    points = np.array(corners, np.float64)
    along = points @ axis
    share = np.interp(wrist, (-15.0, 0.0, 25.0), (0.82, 1.0, 1.1))
    return points + np.outer(along * (share - 1.0), axis)


def _forearm(person: Person, rng: np.random.Generator) -> list[Bone]:
    """Radius and ulna, as long as no film shows; the ulnar variance is drawn."""
    variance = np.clip(rng.normal(-0.9, 1.6), -4.2, 2.3)
    tilt = np.tan(np.deg2rad(np.clip(rng.normal(24.0, 2.5), 19.0, 29.0)))
    edge = 15.5  # y of the radius at its ulnar corner
    top = edge - 28.0 * tilt
    end = edge + _SHAFT_MM
    radius = [(-21.5, top + 1.0), (-14.0, top + 6.5), (-2.0, edge - 4.0), (7.0, edge), (9.0, edge + 4.5)]
    radius += [(7.0, edge + 14.0), (1.5, edge + 32.0), (0.5, edge + 60.0), (1.0, end)]
    radius += [
        (-13.5, end),
        (-13.5, edge + 60.0),
        (-15.0, edge + 32.0),
        (-21.0, edge + 12.0),
        (-23.5, edge - 4.0),
    ]
    head = edge - variance
    ulna = [
        (11.0, head + 3.5),
        (14.5, head + 0.5),
        (20.5, head + 1.0),
        (23.0, head - 5.0),
        (26.0, head - 4.5),
    ]
    ulna += [(27.0, head + 5.0), (25.5, head + 12.0), (22.5, head + 28.0), (22.0, head + 60.0), (22.0, end)]
    ulna += [(10.0, end), (10.5, head + 60.0), (11.0, head + 28.0), (9.8, head + 12.0)]
    return [
        Bone(name, _closed([person.size * np.array(p) for p in points]), 2.3 * person.size, depth)
        for name, points, depth in (("Radius", radius, 16.0), ("Ulna", ulna, 13.0))
    ]


def _sesamoids(person: Person, pose: Pose, rng: np.random.Generator) -> list[np.ndarray]:
    """Two small bones beside the head of the thumb's metacarpal."""
    axis = finger_axes(person, pose)[0][0]
    places = (axis.at(0.9, 0.62 * 15.0 * person.widths / 2), axis.at(0.93, -0.3 * 15.0 * person.widths / 2))
    return [blob(rng, place, person.size * rng.uniform(2.0, 2.9)) for place in places]


def hook_of_hamate(bones: Sequence[Bone]) -> np.ndarray:
    """(M, 2) mm: the dense ring in the hamate, its hook seen from its end."""
    centre = next(bone for bone in bones if bone.name == "Hamate").outline.mean(0) + np.array([1.0, 1.0])
    return ellipse(centre, np.array([2.3, 0.0]), np.array([0.0, 2.7]))


def _moved(bone: Bone, matrix: np.ndarray) -> Bone:
    return Bone(bone.name, warp_points(bone.outline, matrix), bone.cortex, bone.depth)
