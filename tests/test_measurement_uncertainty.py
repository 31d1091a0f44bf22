"""How sure a measurement is: shapes of landmarks, propagation, classes, flags."""

import numpy as np
import pytest

from measurements.analysis import analysis_from_dict, load_analysis
from measurements.classes import Classes
from measurements.evaluate import measure
from measurements.face_frame import FaceFrame, mean_face
from measurements.norm import Norm, Patient, choose
from measurements.records import FLAGS, Setting, inferred_names, measurement_records
from measurements.shapes import SHRINK, LandmarkShapes, isotropic, shapes_of_readers, shipped_shapes
from measurements.table import row, text_table
from measurements.uncertainty import sign_doubts, standard_deviations, variance_parts
from tests.support.faces import E1, E2, LANDMARKS, SDS

NAMES = tuple(LANDMARKS)
FACES = np.stack([E1, E2])
CIRCLES = isotropic(NAMES).covariances(FACES, np.ones((2, 38)))


def turned(points: np.ndarray, degrees: float, size: float = 1.0, *, mirrored: bool = False) -> np.ndarray:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return size * points * ([-1.0, 1.0] if mirrored else [1.0, 1.0]) @ np.array([[c, s], [-s, c]]) + 77.0


def test_worked_standard_deviations() -> None:
    found = {}
    for name in ("steiner", "tweed", "wits", "jarabak", "isbi2015", "soft_tissue", "mcnamara", "ricketts"):
        measured = measure(load_analysis(name), FACES, LANDMARKS)
        sd = standard_deviations(measured, CIRCLES)
        found |= {m.code: sd[:, j] for j, m in enumerate(measured.analysis.measurements)}
    for code, expected in SDS.items():
        np.testing.assert_allclose(found[code], expected, atol=6e-5, err_msg=code)


def test_first_order_is_what_many_draws_give() -> None:
    rng = np.random.default_rng(0)
    shapes = shipped_shapes().of(NAMES)
    covariances = shapes.covariances(E2[None], np.full((1, 38), 0.8))[0]
    drawn = E2 + np.stack([rng.multivariate_normal([0, 0], one, 4000) for one in covariances], axis=1)
    for name in ("isbi2015", "steiner"):
        sd = standard_deviations(measure(load_analysis(name), E2[None], LANDMARKS), covariances[None])[0]
        many = measure(load_analysis(name), drawn, LANDMARKS).values.std(0)
        codes = [m.code for m in load_analysis(name).measurements]
        near = [code != "MW ISBI" for code in codes]  # a distance that passes through 0: the test below
        np.testing.assert_allclose(many[near], sd[near], rtol=0.05)


def test_a_sign_in_doubt_is_said() -> None:
    """MW takes its sign from the overjet: edge to edge, a distance of 4 mm is as likely -4 mm."""
    rng = np.random.default_rng(0)
    upper, lower = LANDMARKS["UIT"], LANDMARKS["LIT"]
    for shift in (0.2, 1.0, 6.0):
        face = E1.copy()
        face[upper] = face[lower] + [shift, -4.0]
        drawn = face + rng.normal(0, 0.8 / np.sqrt(2), (8000, 38, 2))
        measured = measure(load_analysis("isbi2015"), face[None], LANDMARKS)
        (index,) = [j for j, m in enumerate(measured.analysis.measurements) if m.code == "MW ISBI"]
        covariances = isotropic(NAMES).covariances(face[None], np.full((1, 38), 0.8))
        sd, doubt = (of(measured, covariances)[0, index] for of in (standard_deviations, sign_doubts))
        many = measure(load_analysis("isbi2015"), drawn, LANDMARKS).values[:, index]
        assert sd == pytest.approx(many.std(), rel=0.08)
        classes = measured.analysis.measurements[index].classes
        assert classes is not None
        found = classes.probabilities(measured.values[0, index], sd, doubt)
        counted = np.bincount(classes.index(many), minlength=3) / len(many)
        np.testing.assert_allclose(found, counted, atol=0.06)


def test_a_sign_is_in_doubt_under_another_code_too() -> None:
    mw = ["signed", ["length", "LIT>UIT"], ["along", "LIT>UIT", "Po>Or"]]
    items = [
        {"code": code, "name": "x", "unit": "mm", "recipe": recipe, "sign": "x"}
        for code, recipe in (("MW", mw), ("tips", "MW"), ("teeth", "tips"))
    ]
    own = analysis_from_dict({"name": "own", "title": "own", "source": "me", "measurements": items}, "own")
    face = E1.copy()
    face[LANDMARKS["UIT"]] = face[LANDMARKS["LIT"]] + [0.2, -4.0]
    measured = measure(own, face[None], LANDMARKS)
    (doubts,) = sign_doubts(measured, isotropic(NAMES).covariances(face[None], np.full((1, 38), 0.8)))
    assert doubts[0] > 0.3
    np.testing.assert_array_equal(doubts, doubts[0])


def test_what_is_shared_cancels() -> None:
    measured = measure(load_analysis("isbi2015"), FACES[:1], LANDMARKS)
    anb, snb, sna = standard_deviations(measured, CIRCLES[:1])[0, :3]
    assert anb < 0.6 * np.hypot(snb, sna)


def test_the_spacing_s_own_error_acts_on_lengths_alone() -> None:
    measured = measure(load_analysis("mcnamara"), FACES, LANDMARKS)
    without = standard_deviations(measured, 0.0 * CIRCLES)
    with_it = standard_deviations(measured, 0.0 * CIRCLES, scale_error=0.02)
    lengths = [m.unit == "mm" for m in measured.analysis.measurements]
    np.testing.assert_array_equal(without, 0.0)
    np.testing.assert_allclose(with_it, np.where(lengths, 0.02 * np.abs(measured.values), 0.0), atol=1e-9)
    both = standard_deviations(measured, CIRCLES, scale_error=0.02)
    np.testing.assert_allclose(both**2, standard_deviations(measured, CIRCLES) ** 2 + with_it**2)


def test_an_unknown_uncertainty_is_unknown_only_where_it_is_needed() -> None:
    covariances = CIRCLES.copy()
    covariances[:, LANDMARKS["B"]] = np.nan
    measured = measure(load_analysis("isbi2015"), FACES, LANDMARKS)
    sd = standard_deviations(measured, covariances)
    needs = ["B" in m.landmarks for m in measured.analysis.measurements]
    np.testing.assert_array_equal(np.isnan(sd[0]), needs)
    assert np.isnan(variance_parts(measured, covariances)[0, 0, LANDMARKS["B"]])


@pytest.mark.parametrize("mirrored", [False, True])
def test_a_face_frame_follows_the_face(mirrored: bool) -> None:
    frame = FaceFrame(mean_face(FACES))
    vector = np.array([0.02, -0.05])
    upright = frame.to_image(FACES)
    moved = frame.to_image(turned(FACES, 131.0, 1.8, mirrored=mirrored))
    expected = turned(upright @ vector, 131.0, 1.8, mirrored=mirrored) - 77.0
    np.testing.assert_allclose(moved @ vector, expected, atol=1e-9)
    np.testing.assert_allclose(np.linalg.det(frame.turns(FACES)), 1.0)
    assert (np.linalg.det(moved) < 0).all() == mirrored


def test_a_face_frame_without_some_landmarks() -> None:
    frame = FaceFrame(mean_face(FACES))
    without = FACES.copy()
    without[:, [3, 7, 20]] = np.nan
    np.testing.assert_allclose(frame.turns(without), frame.turns(FACES), atol=0.1)
    without[0, 1:] = np.nan
    assert np.isnan(frame.to_image(without)[0]).all()
    with pytest.raises(ValueError, match="two known landmarks"):
        FaceFrame(np.full((3, 2), np.nan))
    with pytest.raises(ValueError, match=r"landmarks \[5\] are on no face"):
        mean_face(np.where(np.arange(38)[:, None] == 4, np.nan, FACES))


def test_the_mean_face_does_not_depend_on_how_faces_lie() -> None:
    rng = np.random.default_rng(1)
    faces = E2 + rng.normal(0, 3, (12, 38, 2))
    moved = np.stack([turned(face, 5 * n - 27.5, 1 + n / 10, mirrored=n > 8) for n, face in enumerate(faces)])
    first, second = mean_face(faces), mean_face(moved)
    factor = FaceFrame(first).to_image(second[None])[0]  # the two may lie differently, not look different
    np.testing.assert_allclose(first @ factor.T, second, atol=1e-3)
    np.testing.assert_allclose((first**2).sum(-1).mean(), 1.0)


def test_shapes_of_readers_are_found_in_any_pose() -> None:
    rng = np.random.default_rng(2)
    truth = E2 + rng.normal(0, 2, (400, 38, 2))
    along = np.array([0.6, 0.8])
    apart = rng.normal(0, 0.2, (400, 38, 2))
    apart[:, 1] += rng.normal(0, 1.5, (400, 1)) * along + [1.0, 0.0]  # nasion, with a habit of one reader
    first, second = truth + apart / 2, truth - apart / 2
    pose = [(7 * n % 60 - 30, n % 3 == 0) for n in range(400)]
    first, second = (
        np.stack(
            [turned(face, degrees, mirrored=side) for face, (degrees, side) in zip(points, pose, strict=True)]
        )
        for points in (first, second)
    )
    shapes = shapes_of_readers(first, second, NAMES, "test")
    covariances = shapes.covariances(E2[None], np.ones((1, 38)))[0]
    variance = 0.2**2 / 1.5**2
    unit = np.outer(along, along) + variance * np.eye(2)
    expected = SHRINK * unit / np.trace(unit) + (1 - SHRINK) * np.eye(2) / 2
    np.testing.assert_allclose(covariances[1], expected, atol=0.05)
    np.testing.assert_allclose(covariances[2], np.eye(2) / 2, atol=0.08)
    np.testing.assert_allclose(np.trace(covariances, axis1=1, axis2=2), 1.0)
    with pytest.raises(ValueError, match="S: marked twice on 9 X-rays, expected at least 10"):
        shapes_of_readers(first[:9], second[:9], NAMES, "test")


def test_shapes_turn_with_the_head() -> None:
    shapes = shipped_shapes().of(NAMES)
    upright = shapes.covariances(FACES, np.ones((2, 38)))
    c, s = np.cos(np.radians(40.0)), np.sin(np.radians(40.0))
    moving = np.diag([-1.0, 1.0]) @ np.array([[c, s], [-s, c]])
    moved = shapes.covariances(turned(FACES, 40.0, mirrored=True), np.ones((2, 38)))
    np.testing.assert_allclose(moved, moving.T @ upright @ moving, atol=1e-9)
    np.testing.assert_allclose(upright[:, 19:], np.broadcast_to(np.eye(2) / 2, (2, 19, 2, 2)))  # unknown
    ratio = np.sqrt(np.linalg.eigvalsh(upright[0, 1])[1] / np.linalg.eigvalsh(upright[0, 1])[0])
    assert 1.5 < ratio < 3.0  # nasion is surer across its contour than along it


@pytest.mark.parametrize("names", [("N", "Pog", "Co"), ("S", "N", "A", "Me")])
@pytest.mark.parametrize("looks", [1.0, -1.0])
def test_landmarks_on_a_line_have_circles(names: tuple[str, ...], looks: float) -> None:
    """Shapes know no Co; the other two fit a face that looks either way."""
    face = E1[[LANDMARKS[name] for name in names]] * [looks, 1.0]
    found = shipped_shapes().of(names).covariances(face[None], np.ones((1, len(names))))
    round_ones = isotropic(names).covariances(face[None], np.ones((1, len(names))))
    assert np.allclose(found, round_ones) == (len(names) == 3)


def test_shapes_as_plain_data() -> None:
    shapes = shipped_shapes()
    again = LandmarkShapes.from_dict(shapes.to_dict(), "x")
    np.testing.assert_allclose(again.matrices, shapes.matrices, atol=1e-4)
    np.testing.assert_allclose(again.reference, shapes.reference, atol=1e-5)
    for wrong in (
        {},
        None,
        shapes.to_dict() | {"matrices": [[1.0, 1.0]] * 19},
        {**shapes.to_dict(), "names": ["S"]},
    ):
        with pytest.raises(ValueError, match="^x: landmark shapes"):
            LandmarkShapes.from_dict(wrong, "x")


def test_classes() -> None:
    classes = next(m.classes for m in load_analysis("isbi2015").measurements if m.code == "ANB")
    assert classes is not None
    values = np.array([3.1999, 3.2, 5.7, 5.7001, np.nan])
    assert [classes.codes[k] for k in classes.index(values)[:4]] == [3, 1, 1, 2] and classes.index(values)[
        4
    ] == -1
    chances = classes.probabilities(np.array([3.2, 4.45, np.nan]), np.array([1.0, 0.5, 1.0]))
    np.testing.assert_allclose(chances[:2].sum(-1), 1.0)
    np.testing.assert_allclose(chances[0], [0.5, 0.49379, 0.00621], atol=1e-5)
    assert chances[1].argmax() == 1 and np.isnan(chances[2]).all()


def test_a_value_on_a_limit_of_two_outer_classes() -> None:
    classes = Classes((1.0, 2.0), ("a", "b", "c"), (1, 2, 3), "a", "s")
    assert classes.index(np.array([1.0, 2.0])).tolist() == [0, 1]


ADULT = Norm(82, 2, "white adults", "adult", "both", "s", True, (18, 120))
GIRL = Norm(87, 3, "white adults", "9 years", "female", "s", False, (9, 18), 0.5)
AGELESS = Norm(82.4, 3, "white adults", "26 years on average", "female", "s", False)


def test_norms_are_chosen_by_what_is_known() -> None:
    assert choose((), Patient()) is None
    assert choose((ADULT, GIRL), Patient()) is ADULT
    assert choose((ADULT, GIRL), Patient(age=12, sex="female")) is GIRL
    assert choose((GIRL, ADULT), Patient(age=12, sex="male")) is ADULT
    assert choose((GIRL, ADULT), Patient(age=30)) is ADULT
    assert choose((AGELESS, ADULT), Patient(age=14, sex="female")) is ADULT
    assert choose((AGELESS, ADULT), Patient(sex="female")) is AGELESS
    assert [GIRL.at(Patient(age=age)) for age in (None, 5, 9, 13, 40)] == [87, 87, 87, 89, 91.5]
    assert ADULT.is_of(Patient(30, "male", "white adults")) and not ADULT.is_of(Patient(30, "male"))
    assert not ADULT.is_of(Patient(12, "male", "white adults"))
    assert not GIRL.is_of(Patient(12, "male", "white adults"))


def records(patient: Patient | None = None, **changes: object) -> dict[str, dict]:
    """Code -> record of E2 in a small analysis that can raise every flag."""
    norm = {
        "mean": 80,
        "sd": 2,
        "population": "p",
        "age": "adult",
        "sex": "both",
        "source": "s",
        "verified": True,
    }
    first = {"code": "SNB", "name": "SNB", "unit": "deg", "recipe": ["angle", "N>S", "N>B"], "sign": "more"}
    second = {**first, "code": "SND", "recipe": ["angle", "N>S", "N>Sym"]}
    third = {**first, "code": "S-N", "unit": "mm", "recipe": ["length", "S>N"]}
    items = [
        {**first, "norms": [norm | {"ages": [18, 120]}], "spread": 5.0},
        {**second, "norms": [norm | {"verified": False}], "spread": 0.5},
        {**third, "norms": [norm]},
    ]
    analysis = analysis_from_dict({"name": "x", "title": "X", "source": "s", "measurements": items}, "x.json")
    setting = {"patient": patient or Patient(), "inferred": inferred_names("cl38"), "scale_known": True} | {
        key: value for key, value in changes.items() if key not in ("has_spacing", "covariances")
    }
    found = measurement_records(
        measure(analysis, E2[None], LANDMARKS),
        changes.get("covariances", CIRCLES[1:]),  # pyright: ignore[reportArgumentType]
        NAMES,
        Setting(**setting),  # pyright: ignore[reportArgumentType]
        has_spacing=bool(changes.get("has_spacing", True)),
    )
    return {record["code"]: record for record in found}


def test_every_flag_where_it_belongs() -> None:
    found = {code: record["flags"] for code, record in records(scale_known=False, scale_likely=False).items()}
    assert found == {
        "SNB": ["norm-population"],
        "SND": ["coarse", "inferred-landmark", "norm-population", "norm-unverified"],
        "S-N": ["scale-unknown", "scale-unlikely", "norm-population"],
    }
    assert {flag for flags in found.values() for flag in flags} == FLAGS.keys()
    adult = Patient(age=30, sex="female", population="p")
    assert records(adult)["SNB"]["flags"] == []
    assert records(adult, inferred=frozenset())["SND"]["flags"] == [
        "coarse",
        "norm-population",
        "norm-unverified",
    ]


def test_a_norm_is_not_applied_where_it_cannot_be() -> None:
    found = records()
    assert found["SNB"]["norm"]["deviations"] == pytest.approx((82.6367 - 80) / 2, abs=1e-4)
    assert found["SND"]["norm"]["deviations"] is None  # unverified
    assert found["S-N"]["norm"]["deviations"] == pytest.approx((67.616 - 80) / 2, abs=1e-4)
    assert records(scale_known=False)["S-N"]["norm"]["deviations"] is None
    assert records(scale_likely=False)["S-N"]["norm"]["deviations"] is None
    assert "unverified" in row(found["SND"])[3] and "unverified" not in row(found["SNB"])[3]


def test_without_spacing_or_uncertainty() -> None:
    blank = records(scale_known=False, has_spacing=False)
    assert blank["S-N"]["value"] is None and blank["S-N"]["interval95"] is None
    assert blank["SNB"]["value"] == pytest.approx(82.6367, abs=1e-4)
    bare = records(covariances=None)
    assert bare["SNB"]["sd"] is None and bare["SNB"]["interval95"] is None and bare["SNB"]["drivers"] == []
    assert "coarse" not in bare["SND"]["flags"]
    assert row(blank["S-N"])[1:3] == ("-", "-") and row(bare["SNB"])[1] == "82.6°"


def test_intervals_drivers_and_words() -> None:
    found = records()["SNB"]
    low, high = found["interval95"]
    assert (high - low) / 2 == pytest.approx(1.96 * 1.0020, abs=1e-3) and (low + high) / 2 == found["value"]
    assert [driver["landmark"] for driver in found["drivers"]] == ["N", "S", "B"]
    assert sum(driver["share"] for driver in found["drivers"]) == pytest.approx(1.0)
    measured = measure(load_analysis("isbi2015"), E2[None], LANDMARKS)
    setting = Setting(Patient(), frozenset(), scale_known=True)
    all_eight = measurement_records(measured, CIRCLES[1:], NAMES, setting, has_spacing=True)
    by_code = {record["code"]: record for record in all_eight}
    assert by_code["ANB"]["class"]["text"] == "Class III, > 99 %"
    assert by_code["SNA"]["class"]["text"].startswith("type 1: 79.4 to 83.2°, 8")
    assert by_code["FHA ISBI"]["class"]["probability"] > 0.9
    narrow = measurement_records(measured, 6 * CIRCLES[1:], NAMES, setting, has_spacing=True)
    assert narrow[3]["class"]["text"].startswith("type 3: below 68.4°") and narrow[2]["class"][
        "text"
    ].startswith("between")
    table = text_table(all_eight)
    assert len(table.splitlines()) == 10 and "100 %" not in table
