"""Maxilla, mandible and teeth of a phantom, drawn through their landmarks (see ``phantom_anatomy``)."""

import numpy as np

from datasets.phantoms.drawing import Structure, blob, ellipse, smooth
from datasets.phantoms.shape import Face

_TOOTH = (
    (0.0, 0.0),
    (0.1, 0.32),
    (0.35, 0.62),
    (0.6, 0.9),
    (0.75, 1.0),
    (0.9, 0.6),
    (1.0, 0.0),
)  # (along, half width)


def maxilla(face: Face, rng: np.random.Generator) -> list[Structure]:
    """The palate is a spindle with its tips at both nasal spines; A is the hollow below the front one."""
    ahead, behind = face["ANS"], face["PNS"]
    along = behind - ahead
    roof = smooth([ahead, ahead + 0.12 * along - 0.5 * face.down, ahead + 0.5 * along, behind])
    below = [(0.8, 1.8), (0.5, 2.6), (0.2, 3.2)]
    palate = np.concatenate(
        [roof, smooth([behind, *[ahead + t * along + d * face.down for t, d in below], ahead])]
    )
    rim = face["UIA"] + 0.55 * (face["UIT"] - face["UIA"]) + 2.5 * face.forward
    front = smooth([ahead, face["A"], rim])
    crest = [face.near("UMo", x, -1.5) for x in (10.0, -14.0)]
    alveolus = np.concatenate([front, np.array([*crest, face.near("UMo", -17.0, -12.0)]), roof[::-1][2:]])
    antrum = blob(rng, (face["Or"] + face["PNS"]) / 2.0 + 5.0 * face.down, 13.0)
    clear = rng.uniform(0.7, 1.2)
    return [
        Structure(antrum, -0.15, soft=1.5),
        Structure(palate, 0.5 * clear, soft=0.15, part="palate"),
        Structure(roof, 0.3 * clear, width=0.8, soft=0.15),
        Structure(alveolus, 0.3 * clear, rise=4.0),
        Structure(front, 0.25 * clear, width=1.0, soft=0.15),
        *_cheekbone(face, rng),
    ]


def _cheekbone(face: Face, rng: np.random.Generator) -> list[Structure]:
    """The zygomatic processes of both sides: bright hooks between orbit and molars, clutter."""
    parts = []
    for _ in range(2):
        shift = rng.normal(0.0, 2.0, 2)
        low = face.near("UMo", rng.uniform(0.0, 6.0), -13.0)
        spots = [face.near("Or", -4.0, 4.0), 0.5 * (face["Or"] + low) + 2.0 * face.forward, low]
        up = [low - 6.0 * face.forward - 12.0 * face.down, low - 13.0 * face.forward - 24.0 * face.down]
        parts.append(Structure(smooth([*spots, *up]) + shift, rng.uniform(0.12, 0.35), width=1.8, soft=0.4))
    return parts


def mandible(face: Face, rng: np.random.Generator) -> list[Structure]:
    """Condyle top, neck, angle, lower border and chin; the symphysis is an oval about its own landmark."""
    ramus = face["Go"] - face["Ar"]
    ramus = ramus / np.linalg.norm(ramus)
    ahead = np.array([ramus[1], -ramus[0]])
    head = face["Co"] + rng.uniform(3.5, 5.0) * (-0.9 * ahead + 0.9 * ramus)
    antegonial = 0.68 * face["Go"] + 0.32 * face["Me"] - rng.uniform(1.0, 3.0) * face.down
    rim = face["LIA"] + 0.6 * (face["LIT"] - face["LIA"]) + 2.5 * face.forward
    chin = [face[name] for name in ("Me", "Gn", "Pog", "B")]
    crest = [face.near("LMo", *spot) for spot in ((8.0, 8.0), (-12.0, 7.0), (-17.0, 2.0))]
    coronoid = face["Co"] + rng.uniform(24.0, 30.0) * ahead + 3.0 * ramus
    notch = [face["Co"] + x * ahead + y * ramus for x, y in ((14.0, rng.uniform(9.0, 13.0)), (4.5, 4.0))]
    border = [coronoid, *notch, face["Co"], head, face["Ar"], face["Go"], antegonial, *chin, rim]
    edge = smooth(border, corners=(5, 6, 9))
    whole = np.concatenate([edge, np.array(crest)])
    condyle = edge[15:50]
    clear = rng.uniform(0.7, 1.2)
    far = rng.normal(0.0, 1.8, 2)
    return [
        Structure(whole, 0.38 * clear, rise=5.0, part="mandible"),
        Structure(edge, 0.3 * clear, width=1.5, soft=0.2),
        Structure(condyle, rng.uniform(0.15, 0.35), soft=0.2),
        Structure(whole + far, 0.12 * clear, soft=0.5),
        Structure(edge[:80] + far, 0.15, width=1.3, soft=0.5),
        *_symphysis(face, rng),
    ]


def _symphysis(face: Face, rng: np.random.Generator) -> list[Structure]:
    axis = face["Me"] - face["B"]
    axis = axis / np.linalg.norm(axis)
    across = np.array([axis[1], -axis[0]])
    gap = abs(float(np.dot(face["Pog"] - face["Sym"], across)))
    long, short = rng.uniform(6.0, 8.5), float(np.clip(0.55 * gap, 2.0, 4.0))
    marrow = ellipse(face["Sym"], long * axis, short * across)
    lingual = face["Sym"] - 7.5 * across
    wall = smooth([face["Me"], lingual + 3.0 * axis, lingual - 8.0 * axis, face["LIA"] - 5.0 * across])
    return [
        Structure(marrow, 0.2, width=1.0, soft=0.3, part="symphysis"),
        Structure(marrow, -rng.uniform(0.2, 0.35), soft=0.4),
        Structure(wall, 0.35, width=1.4, soft=0.3),
    ]


def teeth(face: Face, rng: np.random.Generator) -> list[Structure]:
    """Incisors from apex to edge; molars whose root fork (upper) and fissure (lower) are landmarks."""
    plane = (face["UIT"] + face["LIT"]) / 2.0 - face["LMo"]
    plane = plane / np.linalg.norm(plane)
    down = np.array([-plane[1], plane[0]])
    parts = [
        *_incisor(face["UIA"], face["UIT"], rng.uniform(2.8, 3.6), rng, part="upper incisor"),
        *_incisor(face["LIA"], face["LIT"], rng.uniform(2.3, 3.0), rng, part="lower incisor"),
        *_molar(face["UMo"] + 6.0 * down, plane, -down, 6.0, rng=rng),
        *_molar(face["LMo"], plane, down, rng.uniform(6.0, 7.5), rng=rng),
    ]
    for ahead in (-10.5, 8.5, 15.0):
        for start, root in ((face["UMo"] + 6.0 * down, -down), (face["LMo"], down)):
            edge = start + (ahead + rng.normal(0.0, 0.4)) * plane
            half = 4.6 if ahead < 0 else 3.4
            apex = edge + rng.uniform(15.0, 19.0) * root
            parts += _incisor(apex, edge, half, rng, clear=0.6, part="molar" if ahead < 0 else "premolar")
    return [*parts, *_fillings(face, plane, rng)]


def _incisor(
    apex: np.ndarray,
    tip: np.ndarray,
    half: float,
    rng: np.random.Generator,
    *,
    part: str,
    clear: float = 1.0,
) -> list[Structure]:
    """A tooth of one root, ``half`` mm from its axis to its side."""
    axis = tip - apex
    across = np.array([axis[1], -axis[0]]) / np.linalg.norm(axis)
    left = [apex + t * axis + half * w * across for t, w in _TOOTH]
    right = [apex + t * axis - half * w * across for t, w in _TOOTH[::-1]]
    count = len(_TOOTH)
    outline = smooth([*left, *right[1:]], corners=(count - 1,))
    crown = smooth([*left[3:], *right[1 : count - 3]], corners=(count - 4,))
    canal = np.array([apex + 0.03 * axis, apex + 0.7 * axis])
    amount = clear * rng.uniform(0.35, 0.5)
    return [
        Structure(outline, amount, soft=0.15, part=part),
        Structure(crown, 0.7 * amount, soft=0.15),
        Structure(canal, -0.35 * amount, width=0.8, soft=0.2),
    ]


def _molar(
    fissure: np.ndarray, plane: np.ndarray, root: np.ndarray, height: float, *, rng: np.random.Generator
) -> list[Structure]:
    """A two-rooted tooth: ``fissure`` is the notch between its cusps, its roots fork ``height`` beyond."""
    half, long = rng.uniform(4.8, 5.6), rng.uniform(9.0, 12.0)
    side = [
        (0.0, 0.0),
        (0.55, -1.4),
        (1.0, 1.2),
        (0.95, height - 1.5),
        (0.75, height + long),
        (0.45, height + long),
    ]
    outline = [*side, (0.0, height), *[(-x, y) for x, y in side[:0:-1]], (0.0, 0.0)]
    shape = np.array([fissure + half * x * plane + y * root for x, y in outline])
    crown = np.array(
        [fissure + half * x * plane + y * root for x, y in [*side[:4], (0.0, height), *outline[9:]]]
    )
    amount = rng.uniform(0.35, 0.5)
    return [Structure(shape, amount, soft=0.15, part="molar"), Structure(crown, 0.7 * amount, soft=0.15)]


def _fillings(face: Face, plane: np.ndarray, rng: np.random.Generator) -> list[Structure]:
    """Metal on some back teeth; near the landmarks but never over them by design, only by chance."""
    parts = []
    for _ in range(rng.integers(0, 4)):
        start = face["LMo"] if rng.random() < 0.5 else face["UMo"]
        centre = start + rng.uniform(-15.0, 14.0) * plane + rng.normal(0.0, 2.5, 2)
        outline = blob(rng, centre, rng.uniform(1.2, 3.0))
        parts.append(Structure(outline, rng.uniform(0.6, 1.8), part="filling"))
    return parts
