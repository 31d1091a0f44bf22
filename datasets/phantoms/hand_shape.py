"""The skeleton of a hand in mm: how long and wide its 29 bones are, and where a pose puts them.

Lengths are those of Buryanov & Kotiuk (2010, Int J Morphol 28:755), widths and carpal sizes rounded from
radiographs. The frame is that of a right hand from behind, as on a film: x to the little finger's side, y to
the forearm, the origin in the head of the capitate, about which the wrist turns.
"""

from dataclasses import dataclass

import numpy as np

from transforms.geometry import rotate, warp_points

RAYS = 5  # thumb, index, middle, ring, little
# mm, mean and standard deviation, by ray from the thumb on; a thumb has no middle phalanx
DISTAL = ((21.7, 1.6), (15.8, 2.3), (17.4, 1.9), (17.3, 2.2), (16.0, 2.5))
MIDDLE = (None, (22.4, 2.5), (26.3, 3.0), (25.7, 3.3), (18.1, 2.5))
PROXIMAL = ((31.6, 3.1), (39.8, 4.9), (44.6, 3.8), (41.4, 3.9), (32.7, 2.8))
METACARPAL = ((46.2, 3.9), (68.1, 6.3), (64.6, 5.4), (58.0, 5.1), (53.7, 4.4))
# widths in mm of base, shaft and head; of base, waist and tuft of a distal phalanx
METACARPAL_WIDTHS = ((14, 10.5, 15), (17, 8.5, 15), (14.5, 8.5, 14.5), (12, 7, 12.5), (13, 7.5, 12))
PROXIMAL_WIDTHS = ((15, 9.5, 11), (15, 9.5, 11), (15, 9.5, 11), (15, 9.5, 11), (12, 7.5, 9))
MIDDLE_WIDTHS = (None, (13, 8, 10), (13, 8, 10), (13, 8, 10), (10, 6.5, 8))
DISTAL_WIDTHS = ((15, 8, 11), (11, 5, 8), (11, 5, 8), (11, 5, 8), (9, 4, 6))
_BASES = ((-22.3, -17.0), (-10.3, -21.6), (0.5, -20.8), (9.2, -18.4), (17.0, -15.4))  # of metacarpals
_FAN = (-36.0, -4.0, 0.0, 5.0, 11.0)  # degrees of metacarpals against the third
_DIRECTIONS = ((-40.0, 12.0), (-6.0, 5.0), (0.0, 3.0), (7.0, 5.0), (18.0, 8.0))  # of fingers, mean and SD
_GAPS = (1.4, 1.0, 0.7)  # mm of joint space before proximal, middle and distal phalanx
_PERSON_SD, _BONE_SD, _WIDTH_SD, _JOINT_SD = 0.07, 0.03, 0.05, 3.0
_MALE = 1.08  # of lengths, so that areas are about 1.2 times those of women
_STRAIGHT, _BENT = (-8.0, 8.0), (15.0, 30.0)  # degrees of the wrist to the little finger's side
_TAIL = 2.2  # standard deviations at which a draw is cut


@dataclass(frozen=True)
class Person:
    """What the two hands of a person share: factors of length and width."""

    sex: str
    size: float  # of everything
    lengths: np.ndarray  # (4, 5) of distal, middle, proximal phalanges and metacarpals
    widths: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> "Person":
        sex = "male" if rng.random() < 0.455 else "female"
        size = 1.0 + _PERSON_SD * cut_normal(rng) * 0.7
        size *= np.sqrt(_MALE) if sex == "male" else 1.0 / np.sqrt(_MALE)
        rows = (DISTAL, MIDDLE, PROXIMAL, METACARPAL)
        lengths = [[(1.0 + _BONE_SD * cut_normal(rng)) * (v[0] if v else 0.0) for v in row] for row in rows]
        return cls(sex, size, np.array(lengths), 0.975 * size * (1.0 + _WIDTH_SD * cut_normal(rng)))


@dataclass(frozen=True)
class Axis:
    """A long bone's axis in mm, from its base near the wrist to its tip."""

    base: np.ndarray  # (2,)
    direction: np.ndarray  # (2,) of length 1
    length: float

    @property
    def tip(self) -> np.ndarray:
        return self.base + self.length * self.direction

    def at(self, along: float, across: float) -> np.ndarray:
        """(2,) mm: a share of the length from the base, and mm to the right of the direction."""
        side = np.array([-self.direction[1], self.direction[0]])
        return self.base + along * self.length * self.direction + across * side


@dataclass(frozen=True)
class Pose:
    """How one hand lies: degrees, clockwise on the film of a right hand, so positive to the little finger."""

    wrist: float  # of the hand against the forearm; positive is ulnar deviation
    fingers: np.ndarray  # (5,) against the third metacarpal
    joints: np.ndarray  # (5, 2) further bends of middle and distal phalanx

    @classmethod
    def draw(cls, rng: np.random.Generator, bent: float) -> "Pose":
        """``bent``: probability of a wrist that is bent to the little finger's side."""
        wrist = rng.uniform(*(_BENT if rng.random() < bent else _STRAIGHT))
        fingers = np.array([mean + spread * cut_normal(rng) for mean, spread in _DIRECTIONS])
        for ray in range(2, RAYS):  # neighbours do not cross
            fingers[ray] = max(fingers[ray], fingers[ray - 1] + 2.0)
        return cls(
            wrist, fingers, _JOINT_SD * np.array([[cut_normal(rng), cut_normal(rng)] for _ in range(RAYS)])
        )

    @property
    def is_bent(self) -> bool:
        return self.wrist >= _BENT[0]


def finger_axes(person: Person, pose: Pose) -> list[list[Axis]]:
    """Axes by ray: metacarpal, proximal, (middle,) distal; in the frame of the hand, not of the forearm."""
    rays = []
    for ray in range(RAYS):
        distal, middle, proximal, metacarpal = person.size * person.lengths[:, ray]
        turn, fan = pose.fingers[ray], _FAN[ray] + 0.5 * (pose.fingers[ray] - _DIRECTIONS[ray][0])
        if ray != 0:
            fan = _FAN[ray]
        axes = [Axis(person.size * np.array(_BASES[ray]), towards(fan), metacarpal)]
        bends = pose.joints[ray].cumsum()
        parts = [(proximal, turn, 0), (middle, turn + bends[0], 1), (distal, turn + bends[1], 2)]
        for length, degrees, joint in parts:
            if length:
                direction = towards(degrees)
                axes.append(Axis(axes[-1].tip + person.size * _GAPS[joint] * direction, direction, length))
        rays.append(axes)
    return rays


def towards(degrees: float) -> np.ndarray:
    """(2,) of length 1: up the film, turned clockwise."""
    return warp_points(np.array([0.0, -1.0]), rotate(degrees))


def cut_normal(rng: np.random.Generator) -> float:
    """Standard normal, cut so that no phantom is a monster."""
    return float(np.clip(rng.standard_normal(), -_TAIL, _TAIL))
