"""Braincase and cranial base of a phantom, drawn through their landmarks (see ``phantom_anatomy``)."""

import numpy as np

from datasets.phantoms.drawing import Structure, blob, double, ellipse, smooth
from datasets.phantoms.shape import Face


def vault(face: Face, skin: float, outside: float) -> np.ndarray:
    """(M, 2) arc ``outside`` mm beyond the outer table, from the brow over the crown to below the occiput.

    The outer table is an ellipse that begins ``skin`` mm behind the glabella of the skin.
    """
    centre = face["G'"] - (86.0 + skin) * face.forward - 8.0 * face.down
    return ellipse(centre, (86.0 + outside) * face.forward, (75.0 + outside) * face.down, (6.0, -222.0))


def cranium(face: Face, rng: np.random.Generator) -> list[Structure]:
    """The braincase, a bright rim: nasion is the notch under the brow, Bolton the one behind the condyle."""
    skin = rng.uniform(4.5, 6.5)
    outer = vault(face, skin, 0.0)
    inner = vault(face, skin, -rng.uniform(4.5, 8.0))
    floor = [face["N"], face.near("S", 22.0, -2.0), face.near("S", 0.0, 6.0), face["Ba"], face["Bo"]]
    whole = np.concatenate([smooth([face["N"], outer[0]]), outer, np.array(floor[::-1])])
    cavity = np.concatenate([inner, [face.near("Bo", 0.0, -6.0), *floor[2:0:-1]]])
    face_mass = np.array([face["N"], face["ANS"], face["PNS"], face["Ar"], face["S"]]) - 3.0 * face.forward
    occiput = smooth([outer[-1], 0.5 * outer[-1] + 0.5 * face["Bo"] + 3.0 * face.down, face["Bo"]])
    brow = np.concatenate([outer[:6][::-1], smooth([outer[0], (outer[0] + face["N"]) / 2.0, face["N"]])])
    return [
        Structure(whole, rng.uniform(0.55, 0.8), soft=0.3, part="braincase"),
        Structure(cavity, -rng.uniform(0.15, 0.3), soft=0.8),
        Structure(cavity, -rng.uniform(0.05, 0.2), rise=25.0),
        Structure(face_mass, rng.uniform(0.15, 0.35), soft=4.0),
        Structure(outer, rng.uniform(0.12, 0.3), width=1.2, soft=0.3),
        Structure(inner, rng.uniform(0.12, 0.3), width=1.0, soft=0.5),
        Structure(brow, 0.22, width=1.2, soft=0.2),
        Structure(occiput, 0.35, width=1.8, soft=0.2),
        *_nasal_bone(face, rng),
        *_occipital_condyle(face, rng),
    ]


def _nasal_bone(face: Face, rng: np.random.Generator) -> list[Structure]:
    along = face["Prn"] - face["N"]
    tip = face["N"] + rng.uniform(0.36, 0.5) * along - 3.0 * face.forward
    back = face.near("N", -5.0, 2.0)
    suture = smooth([face["N"], face.near("N", -3.0, -1.5), face.near("N", -6.5, -2.0)])
    return [
        Structure(np.array([face["N"], tip, back]), rng.uniform(0.25, 0.4), soft=0.15),
        Structure(suture, -0.3, width=0.9),
        Structure(blob(rng, face.near("N", -7.0, -13.0), rng.uniform(4.0, 7.0)), -0.2, soft=0.5),
    ]


def _occipital_condyle(face: Face, rng: np.random.Generator) -> list[Structure]:
    bottom = rng.uniform(7.0, 11.0)
    front = 0.25 * face["Bo"] + 0.75 * face["Ba"]
    middle = (face["Bo"] + face["Ba"]) / 2.0
    hill = smooth([face["Bo"], middle + bottom * face.down, front, face["Ba"]], corners=(2,))
    top = [face.near("Ba", -3.0, -7.0), face.near("Bo", 2.0, -7.0)]
    return [
        Structure(np.concatenate([hill, top]), rng.uniform(0.2, 0.35), soft=0.3),
        Structure(hill, 0.25, width=1.0, soft=0.15),
    ]


def cranial_base(face: Face, rng: np.random.Generator) -> list[Structure]:
    """Sella is the centre of its fossa; the clivus ends in basion, its lower face crosses articulare."""
    radius = rng.uniform(4.0, 6.0)
    pit = ellipse(face["S"], radius * face.forward, radius * face.down, (-35.0, 205.0))
    dorsum, tuberculum = face.near("S", -1.1 * radius, -radius), face.near("S", 1.25 * radius, -0.7 * radius)
    plane = [face.near("S", *spot) for spot in ((18.0, -7.0), (34.0, -5.0), (49.0, -9.0))]
    top = np.concatenate([smooth([*plane[::-1], tuberculum]), pit, [dorsum]])
    back = smooth([dorsum, (dorsum + face["Ba"]) / 2.0 + 1.5 * face.forward, face["Ba"]])
    body = face.near("S", 10.0, radius + 14.0)
    under = smooth([face["Ba"], face["Ar"], body, face.near("S", 14.0, radius)])
    wedge = np.concatenate([back, under, [face.near("S", 0.0, radius)]])
    sinus = smooth(
        [face.near("S", *spot) for spot in ((3, radius + 2), (20, 0), (27, 9), (16, 20), (4, 14), (3, 9))]
    )
    clear = rng.uniform(0.7, 1.2)
    return [
        Structure(wedge, 0.35 * clear, soft=0.3),
        Structure(top, 0.5 * clear, width=1.1, soft=0.2),
        Structure(back, 0.35 * clear, width=0.9, soft=0.2),
        Structure(under, 0.45 * clear, width=1.0, soft=0.2),
        Structure(sinus, -0.25, soft=0.8, part="sphenoid sinus"),
        *double(top, rng, 0.18, width=1.0),
        *_roofs(face, rng),
    ]


def _roofs(face: Face, rng: np.random.Generator) -> list[Structure]:
    """The wavy floors of the front of the braincase: clutter above the orbits."""
    lines = []
    for _ in range(3):
        heights = rng.uniform(-12.0, 0.0) + rng.uniform(-3.0, 3.0, 5)
        spots = zip(np.linspace(8.0, 54.0, 5), heights, strict=True)
        curve = smooth([face.near("S", *spot) for spot in spots])
        lines.append(Structure(curve, rng.uniform(0.08, 0.25), width=rng.uniform(0.7, 1.5), soft=0.3))
    return lines
