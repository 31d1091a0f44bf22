"""What a hand does to the beam, and the film of it.

The line integrals of overlapping bones add up, so where two lie over each other it is brighter and neither
hides the other. Attenuation coefficients are those of an effective 35 keV (NIST), in 1/mm beyond what is
replaced: bone beyond soft tissue.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from datasets.phantoms.drawing import Structure, blur, ellipse, smooth
from datasets.phantoms.film import heel, texture
from datasets.phantoms.hand_bones import Bone

_SOFT, _CORTEX, _CANCELLOUS = 0.034, 0.145, 0.028  # 1/mm
_CARPALS = ("Trapezium", "Trapezoid", "Capitate", "Hamate", "Scaphoid", "Lunate", "Triquetrum", "Pisiform")


@dataclass(frozen=True)
class Looks:
    """How one film of a hand looks, drawn once a film."""

    density: float  # of this person's bone
    gamma: float
    brightness: float  # grey of the thickest bone, of 1
    blur_mm: float
    noise: float


def looks(rng: np.random.Generator) -> Looks:
    return Looks(
        density=float(np.clip(rng.normal(1.0, 0.12), 0.7, 1.3)),
        gamma=rng.uniform(0.75, 1.25),
        brightness=rng.uniform(0.72, 0.98),
        blur_mm=rng.uniform(0.1, 0.2),
        noise=rng.uniform(0.006, 0.016),
    )


def skin(
    bones: Sequence[Bone], axes: Sequence[Sequence[np.ndarray]], rng: np.random.Generator
) -> list[Structure]:
    """Soft tissue: sleeves about fingers and forearm, the palm between; thin at its rim.

    axes: joints of every ray from the base of the metacarpal to the tip, (2,) mm each.
    """
    plump = rng.uniform(0.92, 1.12)
    parts = []
    for ray, joints in enumerate(axes):
        width = plump * (19.0 if ray == 0 else 15.0 if ray == 4 else 17.0)
        along = joints[-1] - joints[-2]
        tip = joints[-1] + along / np.linalg.norm(along) * (3.5 - 0.42 * width)
        path = smooth([*joints[1:-1], tip])
        parts.append(Structure(path, _SOFT * 0.62 * width, width=width, soft=1.2))
        parts.append(Structure(path, _SOFT * 0.38 * width, width=0.62 * width, soft=2.2))
    knuckles = [joints[1] for joints in axes]
    wrist = np.mean([bone.outline.mean(0) for bone in bones if bone.name in _CARPALS], 0)
    down = _towards_elbow(bones)
    side = np.array([-down[1], down[0]])  # to the thumb's side of a right hand
    half = plump * 28.5
    thumb = knuckles[0] + 0.35 * (axes[0][2] - knuckles[0])
    up = (axes[2][1] - axes[2][0]) / np.linalg.norm(axes[2][1] - axes[2][0])
    out = np.array([up[1], -up[0]])  # to the thumb's side, as ``side``, but of the hand
    palm = [
        wrist + half * side + 6.0 * down,
        wrist + 1.12 * half * side - 18.0 * down,
        thumb + plump * (8.0 * out - 4.0 * up),
        thumb + plump * (-6.0 * out + 6.0 * up),
        0.5 * (thumb + knuckles[1]) + plump * (3.0 * out - 5.0 * up),
        knuckles[1] + plump * (10.5 * out - 4.0 * up),
        knuckles[1] + plump * (9.5 * out + 12.0 * up),
        0.5 * (knuckles[1] + knuckles[2]) + 15.0 * up,
        0.5 * (knuckles[2] + knuckles[3]) + 14.0 * up,
        0.5 * (knuckles[3] + knuckles[4]) + 10.0 * up,
        knuckles[4] + plump * (-9.0 * out + 8.0 * up),
        knuckles[4] + plump * (-11.5 * out - 12.0 * up),
        axes[4][0] + plump * (-14.0 * out - 2.0 * up),
        wrist - half * side + 8.0 * down,
    ]
    elbow = [wrist + sign * half * (1.05 + 0.1 * sign) * side + 170.0 * down for sign in (-1.0, 1.0)]
    outline = np.concatenate([smooth(palm), np.array(elbow)])
    thick = plump * rng.uniform(23.0, 28.0)
    parts.append(Structure(outline, 0.45 * _SOFT * thick, soft=1.6))
    parts.append(Structure(outline, 0.55 * _SOFT * thick, soft=2.0, rise=9.0))
    return parts


def _towards_elbow(bones: Sequence[Bone]) -> np.ndarray:
    """(2,) of length 1 along the radius."""
    radius = next(bone.outline for bone in bones if bone.name == "Radius")
    middle = radius.mean(0)
    _, _, axes = np.linalg.svd(radius - middle, full_matrices=False)
    return axes[0] * np.sign(axes[0, 1])


def bone_structures(bone: Bone, density: float, rng: np.random.Generator) -> list[Structure]:
    """A tube of cortex about cancellous bone; a carpal bone has a thin shell."""
    carpal = bone.name in _CARPALS
    wall = density * bone.cortex * rng.uniform(0.85, 1.15)
    across = 2.0 * wall * _CORTEX
    ends = [] if carpal else _trabeculae(bone, density)
    return [
        Structure(bone.outline, density * _CANCELLOUS * bone.depth, soft=0.25, rise=0.16 * bone.depth),
        Structure(bone.outline, (0.8 if carpal else 0.5) * across, soft=0.15),
        Structure(
            _inset(bone.outline, 0.45 * bone.cortex),
            (0.95 if carpal else 0.6) * across,
            width=0.9 * bone.cortex,
            soft=0.25 if carpal else 0.35,
        ),
        *ends,
    ]


def _trabeculae(bone: Bone, density: float) -> list[Structure]:
    """The spongy ends of a long bone look brighter than its hollow shaft: a dark core along the middle."""
    middle = bone.outline.mean(0)
    _, lengths, axes = np.linalg.svd(bone.outline - middle, full_matrices=False)
    scale = np.sqrt(2.0 / len(bone.outline)) * lengths
    core = ellipse(middle, 0.62 * scale[0] * axes[0], 0.38 * scale[1] * axes[1])
    return [Structure(core, -0.35 * density * _CANCELLOUS * bone.depth, soft=1.2)]


def _inset(outline: np.ndarray, by: float) -> np.ndarray:
    """(N + 1, 2) a closed outline moved inwards by ``by`` mm."""
    tangent = np.roll(outline, -1, 0) - np.roll(outline, 1, 0)
    normal = np.stack([-tangent[:, 1], tangent[:, 0]], -1)
    normal /= np.maximum(np.linalg.norm(normal, axis=-1, keepdims=True), 1e-9)
    following = np.roll(outline, -1, 0)
    area = float((outline[:, 0] * following[:, 1] - following[:, 0] * outline[:, 1]).sum())
    moved = outline + np.sign(area) * by * normal
    return np.concatenate([moved, moved[:1]])


def artefacts(axes: Sequence[Sequence[np.ndarray]], rng: np.random.Generator) -> list[Structure]:
    """Rings, nail art, plates with screws: dense things that some hands wear. In mm of the film."""
    parts = []
    if rng.random() < 0.12:
        joints = axes[int(rng.integers(2, 4))]
        low, high = (joints[1] + share * (joints[2] - joints[1]) for share in (0.42, 0.5))
        along = (high - low) / np.linalg.norm(high - low)
        across = np.array([-along[1], along[0]])
        bent = [low + s * across - 0.02 * s * s * along for s in np.linspace(-8.5, 8.5, 7)]
        parts.append(Structure(smooth(bent), 6.0, width=rng.uniform(2.0, 5.0)))
    if rng.random() < 0.08:
        for joints in axes:
            spot = joints[-1] - 2.0 * (joints[-1] - joints[-2]) / np.linalg.norm(joints[-1] - joints[-2])
            for _ in range(int(rng.integers(1, 5))):
                bead = ellipse(spot + rng.normal(0, 1.8, 2), np.array([0.6, 0.0]), np.array([0.0, 0.6]))
                parts.append(Structure(bead, rng.uniform(0.6, 3.0)))
    if rng.random() < 0.03:
        joints = axes[int(rng.integers(1, 5))]
        places = [joints[0] + share * (joints[1] - joints[0]) for share in np.linspace(0.25, 0.7, 4)]
        parts.append(Structure(np.array(places), 1.6, width=4.0))
        parts += [
            Structure(ellipse(place, np.array([1.3, 0.0]), np.array([0.0, 1.3])), 2.5) for place in places
        ]
    return parts


def expose_hand(attenuation: np.ndarray, spacing: float, look: Looks, rng: np.random.Generator) -> np.ndarray:
    """(H, W) uint8 film: air black, bone bright; texture, heel, blur, noise, collimation, a side marker.

    ``spacing``: mm per pixel. The marker is drawn by ``mark_side``, since it must not be mirrored.
    """
    texture_rng, grain_rng, rest_rng = rng.spawn(3)
    attenuation = attenuation * (1.0 + 0.7 * texture(attenuation.shape, spacing, texture_rng))
    film = 1.0 - np.exp(-0.62 * attenuation)
    film = blur(film.astype(np.float32), max(look.blur_mm / spacing, 0.3))
    top = 0.76
    film = look.brightness * (film / top).clip(0.0, 1.0) ** (1.36 * look.gamma)
    film = film * heel(film.shape, rest_rng)
    grain = grain_rng.standard_normal(film.shape, np.float32)
    film = film + look.noise * (0.35 + film) * grain * min(1.0, 0.25 / spacing)
    film = np.clip(film + rest_rng.uniform(0.0, 0.02), 0.0, 1.0)
    image = np.round(255.0 * film).astype(np.uint8)
    _collimate(image, spacing, rest_rng)
    return image


def _collimate(image: np.ndarray, spacing: float, rng: np.random.Generator) -> None:
    """Edges that the beam never reached, on some films."""
    width = image.shape[1]
    if rng.random() < 0.25:
        edges = (rng.uniform(0.0, 14.0, 2) / spacing).astype(int)
        shade = int(rng.integers(2)) * int(rng.integers(10, 45))
        image[:, : edges[0]], image[:, width - edges[1] :] = shade, shade
        image[: int(rng.uniform(0.0, 8.0) / spacing)] = shade


def mark_side(image: np.ndarray, side: str, spacing: float, rng: np.random.Generator) -> None:
    """The letter of the side, burnt in beside the hand, on most films."""
    if rng.random() < 0.85:
        height, width = image.shape
        size = rng.uniform(0.2, 0.32) / spacing
        x = width * (rng.uniform(0.05, 0.12) if side == "left" else rng.uniform(0.83, 0.9))
        place = (int(x), int(height * rng.uniform(0.12, 0.9)))
        thick = max(1, round(2.2 * size))
        cv2.putText(image, side[0].upper(), place, cv2.FONT_HERSHEY_SIMPLEX, size, 245, thick, cv2.LINE_AA)
