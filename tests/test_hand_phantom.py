"""Hand phantoms: exact, reproducible, and overlapping as real hands do."""

from pathlib import Path

import numpy as np
import pytest

from datasets.masks.case import check_mask_case
from datasets.masks.dataset import MaskDataset
from datasets.masks.hand_task import BONES, CARPALS, HAND, side_of_hand
from datasets.masks.raster import clipped, fill
from datasets.masks.suspects import find_suspects
from datasets.phantoms.hand import HandPhantom
from datasets.phantoms.hand_shape import METACARPAL, Person, Pose, finger_axes
from tests.support.run_tool import run_tool

SIZE = 384
# mm2, section 1 of the task's statistics: pixels of 2048 px images at 0.142 mm
AREAS = {
    "finger-16": 78.7,
    "finger-4": 100.0,
    "finger-3": 538.7,
    "finger-11": 652.0,
    "finger-7": 713.3,
    "Pisiform": 87.4,
    "Trapezoid": 116.2,
    "Triquetrum": 140.9,
    "Lunate": 157.9,
    "Trapezium": 183.4,
    "Hamate": 213.1,
    "Scaphoid": 217.1,
    "Capitate": 296.5,
}


@pytest.fixture(scope="module")
def hands():
    """30 cases with their masks (K, H, W)."""
    phantom = HandPhantom(SIZE, seed=5)
    cases = [phantom.case(index) for index in range(30)]
    return [(case, np.stack([shape.mask(case.size) for shape in case.shapes])) for case in cases]


def iou(masks: np.ndarray, first: str, second: str) -> float:
    one, other = masks[BONES.index(first)], masks[BONES.index(second)]
    return float((one & other).sum() / (one | other).sum())


def centre(mask: np.ndarray) -> np.ndarray:
    rows, columns = mask.nonzero()
    return np.array([columns.mean(), rows.mean()])


def test_a_case_depends_on_seed_and_index_alone():
    first, again = HandPhantom(160, seed=1).case(4), HandPhantom(160, seed=1)
    again.case(0)
    repeated = again.case(4)
    np.testing.assert_array_equal(first.image, repeated.image)
    for ours, theirs in zip(first.shapes, repeated.shapes, strict=True):
        np.testing.assert_array_equal(ours.mask(first.size), theirs.mask(first.size))
    for other in (HandPhantom(160, seed=1).case(6), HandPhantom(160, seed=2).case(4)):
        assert not np.array_equal(other.image, first.image)


def test_another_size_shows_the_same_hand():
    small, large = HandPhantom(256, seed=7).case(3), HandPhantom(512, seed=7).case(3)
    np.testing.assert_allclose(large.spacing, small.spacing / 2.0)
    shrunk = large.image.reshape(256, 2, 256, 2).mean((1, 3))
    assert np.corrcoef(shrunk.ravel(), small.image.ravel())[0, 1] > 0.97
    for ours, theirs in zip(small.shapes, large.shapes, strict=True):
        expected = theirs.mask(large.size).sum() / 4
        assert ours.mask(small.size).sum() == pytest.approx(expected, rel=0.06, abs=6)


def test_every_bone_is_there_and_sound(hands):
    for case, masks in hands:
        check_mask_case(case, HAND, case.name)
        present = masks.any((1, 2))
        assert present.all(), [BONES[k] for k in np.flatnonzero(~present)]


def test_bones_overlap_as_in_real_hands(hands):
    """The shares measured on 800 films: 0.41 % of pixels, and two pairs in every image."""
    shares = [(masks.sum(0) >= 2).mean() for _, masks in hands]
    assert np.mean(shares) == pytest.approx(0.0041, rel=0.15)
    pisiform = [iou(masks, "Pisiform", "Triquetrum") for _, masks in hands]
    trapezoid = [iou(masks, "Trapezium", "Trapezoid") for _, masks in hands]
    assert np.mean(pisiform) == pytest.approx(0.448, abs=0.05) and min(pisiform) > 0.2
    assert np.mean(trapezoid) == pytest.approx(0.189, abs=0.04) and min(trapezoid) > 0.05
    inside = [
        (masks[BONES.index("Pisiform")] & masks[BONES.index("Triquetrum")]).sum()
        / masks[BONES.index("Pisiform")].sum()
        for _, masks in hands
    ]
    assert np.mean(inside) > 0.7, "the pisiform lies mostly inside"


def test_nearly_all_overlap_is_about_the_carpus(hands):
    wrist = [k for k, name in enumerate(BONES) if name in CARPALS]
    near = [*wrist, *(BONES.index(f"finger-{n}") for n in (3, 7, 11, 15, 19)), 27, 28]
    total = among = 0
    for _, masks in hands:
        flat = masks.reshape(29, -1).astype(np.float32)
        common = np.triu(flat @ flat.T, 1)  # (29, 29) pixels of every pair
        total += common.sum()
        among += common[np.ix_(near, near)].sum()
    assert among > 0.9 * total


def test_bones_are_as_large_as_real_ones(hands):
    for name, expected in AREAS.items():
        found = [masks[BONES.index(name)].sum() * case.spacing.prod() for case, masks in hands]
        assert np.mean(found) == pytest.approx(expected, rel=0.12), name


def test_the_film_is_as_large_and_as_dark_as_real_ones(hands):
    spacing = np.array([case.spacing[0] for case, _ in hands]) * SIZE / 2048
    assert spacing.min() > 0.125 and spacing.max() < 0.16
    assert np.mean([case.image.mean() for case, _ in hands]) == pytest.approx(28.0, abs=6.0)
    for case, masks in hands:
        assert not masks[:, : round(0.02 * SIZE)].any(), "fingers end on the film"
        assert masks[27:, -1].any(1).all(), "radius and ulna leave it at the lower edge"
        assert case.image[masks.any(0)].mean() > 2.0 * case.image.mean()


def test_overlapping_bones_are_brighter_than_either(hands):
    """Line integrals add up: nothing hides, and the overlap shows."""
    brighter = []
    for case, masks in hands:
        one, other = masks[BONES.index("Pisiform")], masks[BONES.index("Triquetrum")]
        common = one & other
        brighter.append(case.image[common].mean() - case.image[other & ~one].mean())
    assert np.mean(brighter) > 10 and np.min(brighter) > 0


def test_right_and_left_are_mirrored_and_named(hands):
    for index, (case, masks) in enumerate(hands):
        tips = {name: tuple(centre(masks[BONES.index(name)])) for name in ("finger-1", "finger-16")}
        assert case.attributes["side"] == side_of_hand(tips) == ("left" if index % 2 else "right")
        assert case.person == hands[index - index % 2][0].person
    assert len({case.person for case, _ in hands}) == 15
    sexes = [case.attributes["sex"] for case, _ in hands[::2]]
    assert 3 <= sexes.count("male") <= 12


def test_men_have_larger_bones():
    areas = {"female": [], "male": []}
    for seed in range(300):
        person = Person.draw(np.random.default_rng(seed))
        areas[person.sex].append((person.size * person.lengths[3, 2]) ** 2)
    assert np.mean(areas["male"]) / np.mean(areas["female"]) == pytest.approx(1.17, abs=0.07)


def test_lengths_are_those_of_real_hands():
    lengths = [p.size * p.lengths[3] for p in map(Person.draw, map(np.random.default_rng, range(300)))]
    np.testing.assert_allclose(np.mean(lengths, 0), [mean for mean, _ in METACARPAL], rtol=0.03)


def test_bent_wrists_come_as_often_as_asked_and_turn_the_hand_against_the_forearm():
    rng = np.random.default_rng(0)
    angles = np.array([Pose.draw(rng, 0.3).wrist for _ in range(600)])
    assert ((angles >= 15) & (angles <= 30)).mean() == pytest.approx(0.3, abs=0.06)
    assert (np.abs(angles[angles < 15]) <= 8).all()
    for bent, low, high in ((0.0, -12.0, 12.0), (1.0, 8.0, 40.0)):
        phantom = HandPhantom(256, seed=2, bent=bent)
        for index in range(0, 12, 2):  # right hands
            assert phantom.is_bent(index) == bool(bent)
            masks = [shape.mask((256, 256)) for shape in phantom.case(index).shapes]
            hand = centre(masks[BONES.index("finger-11")]) - centre(masks[BONES.index("Capitate")])
            forearm = axis_of(masks[BONES.index("Radius")])
            turn = np.degrees(np.arctan2(hand[0], -hand[1]) - np.arctan2(forearm[0], -forearm[1]))
            assert low < turn < high, (index, turn)


def axis_of(mask: np.ndarray) -> np.ndarray:
    """(2,) along the shaft of the forearm, upwards: through its middle in the lowest rows."""
    rows = np.flatnonzero(mask.any(1))
    upper, lower = (np.flatnonzero(mask[row]).mean() for row in (rows[-1] - 22, rows[-1] - 2))
    return np.array([upper - lower, -20.0])


def test_fingers_do_not_cross():
    for seed in range(50):
        rng = np.random.default_rng(seed)
        rays = finger_axes(Person.draw(rng), Pose.draw(rng, 0.1))
        tips = [axes[-1].tip[0] for axes in rays[1:]]
        assert tips == sorted(tips)


@pytest.fixture(scope="module")
def labelled(hands):
    """Names of the cases, and (N, K, 2) centres and (N, K) areas as ``find_suspects`` takes them."""
    centres = np.array([[centre(mask) / SIZE for mask in masks] for _, masks in hands])
    areas = np.array([masks.sum((1, 2)) for _, masks in hands]) / SIZE**2
    return [case.name for case, _ in hands], centres, areas


def test_no_phantom_is_suspected(labelled):
    """The check of labels knows nothing of phantoms."""
    names, centres, areas = labelled
    found = find_suspects(names, BONES, centres, areas)
    assert len(found) <= 5 and all(suspect.score < 1.5 for suspect in found), found


@pytest.mark.parametrize(
    "cycles",
    [
        ["Trapezium Hamate"],
        ["Trapezium Trapezoid"],  # as in ID089: neighbours
        [  # as in ID058
            *("Trapezium Hamate", "Trapezoid Capitate", "Radius Ulna", "finger-1 finger-3"),
            "Pisiform Scaphoid Triquetrum Lunate",
        ],
    ],
)
def test_the_exchanged_labels_of_the_real_task_are_suspected_first(labelled, cycles):
    """cycles: bones of which each is labelled on the next one, the last on the first."""
    names, centres, areas = labelled
    right, wrong = [], []
    for bones in map(str.split, cycles):
        right += [BONES.index(bone) for bone in bones]
        wrong += [BONES.index(bone) for bone in (*bones[1:], bones[0])]
    centres, areas = centres.copy(), areas.copy()
    centres[9, right], areas[9, right] = centres[9, wrong], areas[9, wrong]
    found = find_suspects(names, BONES, centres, areas)
    said = {(s.structure, s.reason) for s in found if s.case == names[9]}
    within = {"Pisiform": "Triquetrum"}  # one lies in the other, so either name is right
    for bone, other in ((BONES[k], BONES[j]) for k, j in zip(right, wrong, strict=True)):
        places = {other, within.get(other, other)}
        assert said & {(bone, f"lies where the others have {place}") for place in places}, bone
    assert found[0].case == names[9]


def test_a_polygon_is_cut_at_the_border_exactly():
    rng = np.random.default_rng(0)
    for _ in range(30):
        angles = np.sort(rng.uniform(0, 2 * np.pi, 12))
        polygon = rng.uniform(-10, 50, 2) + 20 * np.stack([np.cos(angles), np.sin(angles)], -1)
        cut = clipped(polygon, (40, 30))
        np.testing.assert_array_equal(
            fill(cut, (40, 30)) if len(cut) else np.zeros((30, 40), bool), fill(polygon, (40, 30))
        )
        assert not len(cut) or ((cut >= 0).all() and (cut <= [40, 30]).all())


@pytest.mark.parametrize(
    ("arguments", "named"), [({"size": 64}, "64"), ({"seed": -1}, "-1"), ({"bent": 2}, "2")]
)
def test_a_bad_argument_is_named(arguments, named):
    with pytest.raises(ValueError, match=named):
        HandPhantom(**arguments)


def test_the_tool_writes_what_the_phantom_draws_whatever_the_number_of_processes(tmp_path: Path):
    counts = ("--train", 4, "--val", 2, "--test", 2, "--size", 192, "--test-bent", 1.0)
    for processes in (1, 2):
        output = tmp_path / f"p{processes}"
        done = run_tool(
            "tools/prepare_hand_phantom.py", "--output", output, *counts, "--processes", processes
        )
        assert done.returncode == 0, done.stderr
    for file in ("annotations/test.json", "images/hand_00006.png", "dataset.json"):
        assert (tmp_path / "p1" / file).read_bytes() == (tmp_path / "p2" / file).read_bytes(), file
    dataset, phantom = MaskDataset(tmp_path / "p1", "test"), HandPhantom(192, bent=1.0)
    assert dataset.cases == ("hand_00006", "hand_00007") and phantom.is_bent(6)
    sample, case = dataset.load(1), phantom.case(7)
    np.testing.assert_array_equal(sample.image, case.image)
    for ours, theirs in zip(sample.shapes, case.shapes, strict=True):
        np.testing.assert_array_equal(ours.mask(case.size), theirs.mask(case.size))
    assert sample.attributes == (HAND.attributes["sex"].index(case.attributes["sex"]), 0)
    done = run_tool("tools/prepare_hand_phantom.py", "--output", tmp_path / "q", "--train", 3)
    assert done.returncode != 0 and "--train 3" in done.stderr and "Traceback" not in done.stderr
