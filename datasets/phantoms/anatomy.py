"""The anatomy of a lateral cephalogram, drawn through its 38 landmarks.

Every landmark is a corner, a tip, an extreme or a centre of something drawn here, in
``phantom_cranium`` or in ``phantom_jaws``, so the picture around it says where it is. Attenuations are
logarithms; lengths without a unit in their name are mm of an average head.
"""

import numpy as np

from datasets.phantoms.cranium import cranial_base, cranium, vault
from datasets.phantoms.drawing import Structure, blob, double, ellipse, smooth
from datasets.phantoms.jaws import mandible, maxilla, teeth
from datasets.phantoms.shape import Face


def anatomy(face: Face, rng: np.random.Generator) -> list[Structure]:
    """All structures of one head. What the landmarks leave open, such as the neck, comes from ``rng``."""
    parts = (soft_tissue, cranium, cranial_base, air_cells, ear, orbit, pterygomaxillary_fissure, neck)
    return [
        structure for part in (*parts, maxilla, mandible, teeth) for structure in part(face, rng.spawn(1)[0])
    ]


def soft_tissue(face: Face, rng: np.random.Generator) -> list[Structure]:
    """The skin from scalp to throat; its profile passes through the soft-tissue landmarks."""
    scalp = vault(face, 5.5, rng.uniform(4.0, 8.0))[4:]
    stomion = (face["UL"] + face["LL"]) / 2.0 - rng.uniform(4.0, 7.0) * face.forward
    names = ("G'", "N'", "Prn", "Cm", "Sn", "ULB", "UL", "", "LL", "B'", "Pog'", "Gn'", "Me'", "C")
    profile = [face[name] if name else stomion for name in names]
    throat = [face.near("C", *where) for where in ((-3.0, 18.0), (-4.0, 190.0))]
    curve = smooth([scalp[0], *profile, *throat], corners=(4, 5, 6, 8, 12, 14))
    nape = [face.near("Bo", *where) for where in ((-12.0, 230.0), (-20.0, 50.0), (-30.0, 22.0))]
    outline = np.concatenate([curve, smooth([*nape, scalp[-1]]), scalp[::-1]])
    amount = rng.uniform(0.12, 0.26)
    return [
        Structure(outline, amount),
        Structure(outline, rng.uniform(0.2, 0.35), rise=rng.uniform(10.0, 22.0)),
        Structure(_nostril(face), -0.12, soft=0.6),
    ]


def _nostril(face: Face) -> np.ndarray:
    centre = 0.5 * face["Cm"] + 0.25 * face["Prn"] + 0.25 * face["Sn"] - 3.5 * face.down - face.forward
    return ellipse(centre, 4.5 * face.forward, 1.6 * face.down)


def air_cells(face: Face, rng: np.random.Generator) -> list[Structure]:
    """Ethmoid and mastoid cells: many small dark bubbles with bright walls, there to confuse."""
    found = []
    regions = (("S", (20.0, 46.0), (0.0, 26.0), 14), ("Po", (-18.0, -2.0), (-6.0, 16.0), 16))
    for name, ahead, below, count in regions:
        for _ in range(count):
            centre = face.near(name, rng.uniform(*ahead), rng.uniform(*below))
            outline = blob(rng, centre, rng.uniform(1.2, 4.5))
            found.append(Structure(outline, -rng.uniform(0.04, 0.16), soft=0.3))
            found.append(Structure(outline, rng.uniform(0.03, 0.14), width=0.6, soft=0.25))
    return found


def ear(face: Face, rng: np.random.Generator) -> list[Structure]:
    """Petrous bone and the ear canal, whose highest point is porion; often an ear rod lies beside it."""
    wide, high = rng.uniform(3.5, 5.0), rng.uniform(3.5, 4.8)
    canal = ellipse(face["Po"] + high * face.down, wide * face.forward, high * face.down)
    petrous = blob(rng, face.near("Po", 6.0, 1.0), 13.0)
    parts = [
        Structure(petrous, rng.uniform(0.25, 0.5), soft=2.5),
        Structure(canal, -rng.uniform(0.2, 0.45), soft=0.2, part="ear canal"),
        Structure(canal, rng.uniform(0.25, 0.55), width=0.9, soft=0.2),
    ]
    if rng.random() < 0.6:
        centre = face.near("Po", rng.normal(1.0, 2.5), rng.normal(6.0, 2.5))
        rod = ellipse(centre, rng.uniform(4.0, 7.0) * face.forward, 5.5 * face.down)
        parts.append(Structure(rod, rng.uniform(0.3, 1.0), width=1.1, part="ear rod"))
    return parts


def orbit(face: Face, rng: np.random.Generator) -> list[Structure]:
    """Orbitale is the lowest point of the orbit's rim, in the direction of the head's own vertical."""
    deep, high = rng.uniform(14.0, 19.0), rng.uniform(15.0, 18.0)
    centre = face["Or"] - high * face.down
    rim = ellipse(
        centre, deep * face.forward, high * face.down, (rng.uniform(5.0, 40.0), rng.uniform(170.0, 235.0))
    )
    globe = ellipse(centre, 0.95 * deep * face.forward, 0.95 * high * face.down)
    clear = rng.uniform(0.18, 0.4)
    floor = ellipse(centre, deep * face.forward, high * face.down, (60.0, 130.0))
    return [
        Structure(globe, -0.1, soft=1.0, part="orbit"),
        Structure(rim, clear, width=1.3, soft=0.25),
        Structure(floor, 0.7 * clear, width=2.2, soft=0.4),
        *double(rim, rng, 0.7 * clear, width=1.2),
    ]


def pterygomaxillary_fissure(face: Face, rng: np.random.Generator) -> list[Structure]:
    """A dark drop between two bright walls, rounded at the pterygoid point, sharp where the fissure ends."""
    axis = face["Ptm"] - face["Pt"]
    across = np.array([axis[1], -axis[0]]) * rng.uniform(0.16, 0.26)
    sides = [(0.0, 0.0), (0.08, 0.6), (0.28, 1.0), (0.6, 0.6), (1.0, 0.0)]
    front = [face["Pt"] + along * axis + out * across for along, out in sides]
    back = [face["Pt"] + along * axis - out * across for along, out in sides[3:0:-1]]
    drop = smooth([*front, *back, face["Pt"]], corners=(4,))
    clear = rng.uniform(0.7, 1.2)
    return [
        Structure(drop, -0.3 * clear, soft=0.3, part="pterygomaxillary fissure"),
        Structure(drop, 0.35 * clear, width=1.1, soft=0.2),
        *double(drop, rng, 0.2, width=0.9),
    ]


def neck(face: Face, rng: np.random.Generator) -> list[Structure]:
    """Cervical spine, airway and hyoid: none carries a landmark, all lie in the way."""
    lean, tall = rng.uniform(-0.15, 0.3), rng.uniform(15.5, 18.5)
    parts = _airway(face, rng)
    for level in range(8):
        centre = face.near("Ba", -5.0 + lean * tall * level + rng.normal(0.0, 0.6), 16.0 + tall * level)
        ahead, below = 8.0 * face.forward, 0.40 * tall * face.down
        waist = [
            (-1.0, -0.9),
            (-0.85, 0.0),
            (-0.95, 0.95),
            (0.1, 0.8),
            (1.1, 1.05),
            (0.9, 0.1),
            (1.0, -1.0),
            (0.0, -0.8),
        ]
        body = smooth([centre + x * ahead + y * below for x, y in [*waist, waist[0]]], corners=(2, 4, 6))
        spine = smooth(
            [centre - 1.1 * ahead, centre - 3.0 * ahead + below, centre - 3.6 * ahead + 1.6 * below]
        )
        clear = rng.uniform(0.22, 0.4)
        parts.append(Structure(body, clear, soft=0.8, part="vertebra"))
        parts.append(Structure(body, 0.4 * clear, width=1.0, soft=0.4))
        parts.append(Structure(spine, 0.8 * clear, width=rng.uniform(4.0, 6.5), soft=0.7))
    dens = [face.near("Ba", *spot) for spot in ((-1.0, 5.0), (2.0, 14.0), (-8.0, 16.0), (-5.0, 6.0))]
    return [*parts, Structure(np.array(dens), 0.25, soft=0.6)]


def _airway(face: Face, rng: np.random.Generator) -> list[Structure]:
    wide = rng.uniform(7.0, 12.0)
    spots = ((-9.0, -6.0), (-12.0, 20.0), (-10.0, 50.0), (-6.0, 90.0))
    tube = smooth([face.near("PNS", *spot) for spot in spots])
    hyoid = face.near("C", rng.uniform(-28.0, -12.0), rng.uniform(-14.0, 0.0))
    body = ellipse(hyoid, 6.0 * face.forward - 3.0 * face.down, 2.2 * face.down + 1.0 * face.forward)
    return [
        Structure(tube, -rng.uniform(0.1, 0.25), width=wide, soft=1.2),
        Structure(body, rng.uniform(0.1, 0.3), soft=0.5, part="hyoid"),
    ]
