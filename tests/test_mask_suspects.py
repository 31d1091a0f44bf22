"""Labels that are probably wrong are found, told what they are, and no sound one is."""

import numpy as np

from datasets.masks.suspects import find_suspects


def hand_like(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Centres (N, 12, 2) and areas (N, 12) of turned, shifted, half of them mirrored shapes."""
    base = rng.uniform(0.2, 0.8, (12, 2))
    centres = []
    for n in range(count):
        angle = rng.uniform(-0.5, 0.5)
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        mirror = np.diag([-1.0 if n % 2 else 1.0, 1.0])
        points = (base - 0.5 + rng.normal(0, 0.005, base.shape)) @ mirror @ turn.T * rng.uniform(0.8, 1.2)
        centres.append(points + 0.5 + rng.uniform(-0.1, 0.1, 2))
    areas = rng.uniform(0.01, 0.02, 12) * np.exp(rng.normal(0, 0.05, (count, 12)))
    return np.array(centres), areas


def test_sound_labels_are_not_suspected():
    centres, areas = hand_like(np.random.default_rng(0), 40)
    names = [str(n) for n in range(40)]
    assert find_suspects(names, [f"bone{k}" for k in range(12)], centres, areas) == []


def test_wrong_labels_are_suspected_first_and_told_what_they_are():
    centres, areas = hand_like(np.random.default_rng(1), 40)
    names, classes = [str(n) for n in range(40)], [f"bone{k}" for k in range(12)]
    centres[7, [2, 5]] = centres[7, [5, 2]]  # exchanged
    centres[11, 3] += 0.5  # elsewhere
    areas[20, 8] *= 3.0
    centres[30, 4] = np.nan  # absent: nothing to suspect
    found = {(s.case, s.structure): s.reason for s in find_suspects(names, classes, centres, areas)}
    assert found == {
        ("7", "bone2"): "lies where the others have bone5",
        ("7", "bone5"): "lies where the others have bone2",
        ("11", "bone3"): "lies far from where the others have it",
        ("20", "bone8"): found[("20", "bone8")],
    }
    assert "larger than usual" in found[("20", "bone8")]


def test_exchanged_sides_of_few_structures_and_a_mirrored_image_are_suspected():
    rng = np.random.default_rng(2)
    lungs = np.array([[0.3, 0.5], [0.7, 0.5], [0.55, 0.6]]) + rng.normal(0, 0.01, (30, 3, 2))
    areas = np.full((30, 3), 0.1)
    lungs[4, [0, 1]] = lungs[4, [1, 0]]
    found = find_suspects([str(n) for n in range(30)], ["right", "left", "heart"], lungs, areas)
    assert {(s.case, s.structure) for s in found} == {("4", "right"), ("4", "left")}
    centres, areas = hand_like(np.random.default_rng(3), 40)
    centres[1::2, :, 0] = 1.0 - centres[1::2, :, 0]  # now all the same way round
    centres[6, :, 0] = 1.0 - centres[6, :, 0]
    found = find_suspects([str(n) for n in range(40)], [str(k) for k in range(12)], centres, areas)
    assert [(s.case, s.structure) for s in found] == [("6", "")]
