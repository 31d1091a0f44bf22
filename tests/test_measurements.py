"""Measurements: worked examples, what must not change them, and their derivatives."""

import numpy as np
import pytest

from measurements.analysis import Analysis, analysis_from_dict, load_analysis, shipped_analyses
from measurements.evaluate import facing, measure
from measurements.primitives import Face, Place, angle
from tests.support.faces import E1, E2, E3_PIXELS, E3_SPACING, LANDMARKS, VALUES

FACES = np.stack([E1, E2])
OTHER_NAMES = {  # the same quantity under the name that another author gave it
    "FH-MP": "FMA",
    "MP angle": "FMA",
    "FHI": "Jarabak",
    "Facial depth": "Facial angle",
}
UNCHECKED = {"SND", "ANB expected", "L1-MP compl", "Facial axis - 90"}  # each has a test of its own below


def values(points: np.ndarray, *analyses: str) -> dict[str, np.ndarray]:
    """Code -> (N,) value of all measurements of these analyses, by default of all that ship."""
    found = {}
    for name in analyses or shipped_analyses():
        measured = measure(load_analysis(name), points, LANDMARKS)
        found |= {m.code: measured.values[:, j] for j, m in enumerate(measured.analysis.measurements)}
    return found


def test_the_analyses_that_ship() -> None:
    expected = "downs isbi2015 jarabak mcnamara ricketts soft_tissue steiner tweed wits"
    assert shipped_analyses() == expected.split()
    assert all(load_analysis(name).name == name for name in shipped_analyses())


def test_worked_examples() -> None:
    found = values(FACES)
    assert found.keys() - UNCHECKED - OTHER_NAMES.keys() == VALUES.keys()
    for code in found.keys() - UNCHECKED:
        np.testing.assert_allclose(found[code], VALUES[OTHER_NAMES.get(code, code)], atol=6e-5, err_msg=code)


def test_by_hand() -> None:
    found = values(FACES[:1])
    np.testing.assert_allclose(
        found["SND"], 90 - np.degrees(np.arctan2(10, 60)) - np.degrees(np.arctan2(16, 98))
    )
    np.testing.assert_allclose(found["ANB expected"], -35.16 + 0.4 * found["SNA"] + 0.2 * found["SN-GoMe"])
    np.testing.assert_allclose(found["L1-MP compl"], found["IMPA"] - 90)
    ptm_gn, n_ba = np.array([28.0, 54.0]), np.array([-85.0, 55.0])
    cosine = ptm_gn @ n_ba / np.linalg.norm(ptm_gn) / np.linalg.norm(n_ba)
    np.testing.assert_allclose(found["Facial axis - 90"], np.degrees(np.arccos(cosine)) - 90)


@pytest.mark.parametrize("turned", [(-5.0, 0.0), (5.0, 0.0), (0.0, -5.0), (0.0, 5.0), (3.0, 4.0)])
def test_opposite_directions_are_180_degrees_apart(turned: tuple[float, float]) -> None:
    ends = np.array([[turned, np.negative(turned)]])
    one, other = (Place.of_landmark(ends, k) for k in (0, 1))
    assert angle(one, other, Face(np.array([np.nan]), np.zeros(1))).value == pytest.approx(180.0)


def test_sums_that_must_come_out() -> None:
    found = values(FACES)
    np.testing.assert_allclose(found["FMA"] + found["FMIA"] + found["IMPA"], 180)
    np.testing.assert_allclose(found["Bjork sum"], 360 + found["SN-GoMe"])
    np.testing.assert_allclose(found["Facial depth"] + found["MP angle"] + found["Facial taper"], 180)
    np.testing.assert_allclose(
        found["IIA"], 180 - found["U1-NA deg"] - found["L1-NB deg"] - found["ANB"], atol=1e-9
    )


def test_the_other_side_turned_and_of_oblong_pixels_is_the_same() -> None:
    other, same = values((E3_PIXELS * E3_SPACING)[None]), values(E2[None])
    for code, value in same.items():
        np.testing.assert_allclose(other[code], value, atol=1e-9, err_msg=code)


@pytest.mark.parametrize("degrees", [17.0, 90.0, 163.0, 261.0])
@pytest.mark.parametrize("mirrored", [False, True])
def test_a_turned_shifted_or_mirrored_head_is_the_same(degrees: float, mirrored: bool) -> None:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    moved = FACES * ([-1.0, 1.0] if mirrored else [1.0, 1.0]) @ np.array([[c, s], [-s, c]]) + [310.0, -42.0]
    found = values(moved)
    for code, value in values(FACES).items():
        np.testing.assert_allclose(found[code], value, atol=1e-9, err_msg=code)


def test_a_larger_head_has_longer_lengths_and_the_same_angles() -> None:
    small, large = values(FACES), values(1.7 * FACES)
    for name in shipped_analyses():
        for measurement in load_analysis(name).measurements:
            factor = 1.7 if measurement.unit == "mm" else 1.0
            np.testing.assert_allclose(large[measurement.code], factor * small[measurement.code], atol=1e-9)


@pytest.mark.parametrize("name", shipped_analyses())
def test_derivatives_are_those_by_differences(name: str) -> None:
    analysis, step = load_analysis(name), 1e-5
    shifts = step * np.eye(2 * 38).reshape(-1, 38, 2)  # one coordinate of one landmark each
    for face in FACES:
        jacobian = measure(analysis, face[None], LANDMARKS).jacobian[0]  # (M, K, 2)
        high, low = (measure(analysis, face + sign * shifts, LANDMARKS).values for sign in (1.0, -1.0))
        by_differences = ((high - low) / (2 * step)).T.reshape(jacobian.shape)
        np.testing.assert_allclose(jacobian, by_differences, atol=1e-6)


@pytest.mark.parametrize("name", shipped_analyses())
def test_what_the_scale_does(name: str) -> None:
    measured = measure(load_analysis(name), FACES + np.array([500.0, -200.0]), LANDMARKS)
    lengths = [m.unit == "mm" for m in measured.analysis.measurements]
    np.testing.assert_allclose(measured.by_scale, np.where(lengths, measured.values, 0.0), atol=1e-8)


def test_many_faces_are_as_one_by_one() -> None:
    rng = np.random.default_rng(0)
    many = FACES[rng.integers(0, 2, 20)] + rng.normal(0, 2, (20, 38, 2))
    for name in shipped_analyses():
        together = measure(load_analysis(name), many, LANDMARKS)
        alone = [measure(load_analysis(name), face[None], LANDMARKS) for face in many]
        np.testing.assert_array_equal(together.values, np.concatenate([one.values for one in alone]))
        np.testing.assert_array_equal(together.jacobian, np.concatenate([one.jacobian for one in alone]))


def test_facing() -> None:
    triple = [LANDMARKS[name] for name in ("S", "N", "Me")]
    flat = E1.copy()
    flat[LANDMARKS["Me"]] = 3 * E1[LANDMARKS["N"]] - 2 * E1[LANDMARKS["S"]]
    missing = E1.copy()
    missing[LANDMARKS["Me"]] = np.nan
    found = facing(np.stack([E1, E1 * [-1, 1], flat, missing]), triple)
    np.testing.assert_array_equal(found, [1.0, -1.0, np.nan, np.nan])


def test_a_missing_landmark_makes_only_what_needs_it_undefined() -> None:
    without = FACES.copy()
    without[0, LANDMARKS["B"]] = np.nan
    measured = measure(load_analysis("steiner"), without, LANDMARKS)
    for j, measurement in enumerate(measured.analysis.measurements):
        assert np.isnan(measured.values[0, j]) == ("B" in measurement.landmarks), measurement.code
        assert np.isfinite(measured.values[1, j])
    assert np.isnan(values(FACES * np.nan, "tweed")["FMA"]).all()


def test_without_menton_no_side_but_angles() -> None:
    without = FACES.copy()
    without[:, LANDMARKS["Me"]] = np.nan
    found = values(without, "steiner")
    assert np.isfinite(found["SNA"]).all() and np.isnan(found["U1-NA mm"]).all()


def test_a_direction_of_no_length_is_undefined() -> None:
    closed = E1.copy()
    closed[LANDMARKS["UIT"]] = closed[LANDMARKS["LIT"]]
    closed[LANDMARKS["UIA"]] = closed[LANDMARKS["UIT"]] + [0.3, 0.3]
    found = values(closed[None])
    assert np.isnan(found["MW ISBI"]) and np.isnan(found["IIA"]) and np.isnan(found["U1-SN"])
    assert found["Overjet FH"] == 0.0 and np.isfinite(found["FMIA"])


def test_fewer_landmarks_leave_what_they_allow() -> None:
    nineteen = {name: index for name, index in LANDMARKS.items() if index < 19}
    measured = measure(load_analysis("steiner"), FACES[:, :19], nineteen)
    codes = [m.code for m in measured.analysis.measurements]
    assert codes == ["SNA", "SNB", "ANB", "ANB expected", "SN-GoGn", "U1-NA mm", "L1-NB mm", "Pog-NB mm"]
    lacking = load_analysis("steiner").missing(nineteen)
    assert lacking["SND"] == ["Sym"] and lacking["SN-OP"] == ["LMo", "UMo"]
    assert len(measure(load_analysis("isbi2015"), FACES[:, :19], nineteen).values[0]) == 8
    with pytest.raises(ValueError, match=r"no measurement can be made.*lack \['Go', 'LIA'"):
        measure(load_analysis("tweed"), FACES, {"S": 0, "N": 1, "Me": 7, "Po": 3, "Or": 2, "LIT": 10})


def own(**changes: object) -> dict:
    """A user's own analysis of one measurement; ``changes`` to it, or to the file where it has the key."""
    item = {
        "code": "X",
        "name": "x",
        "unit": "deg",
        "recipe": ["angle", "N>S", "N>A"],
        "sign": "larger: more",
    }
    file = {"name": "own", "title": "Own", "source": "me", "measurements": [item]}
    for key, value in changes.items():
        (file if key in ("facing", "points", "lines", "measurements", "odd") else item)[key] = value
    return file


def built(**changes: object) -> Analysis:
    return analysis_from_dict(own(**changes), "own.json")


@pytest.mark.parametrize(
    "wrong",
    [
        {"points": []},
        {"lines": []},
        {"code": ["X"]},
        {"norms": 5},
        {"classes": {"limits": 5, "names": ["a"], "codes": [1], "keeps_limits": "a", "source": "s"}},
    ],
)
def test_an_entry_of_a_wrong_kind_is_refused_with_its_file(wrong) -> None:
    with pytest.raises(ValueError, match=r"own\.json: .*docs/measurements\.md"):
        built(**wrong)


def test_an_own_analysis(tmp_path) -> None:
    file = tmp_path / "own.json"
    file.write_text(
        '{"name": "own", "title": "Own", "source": "me", "points": {"mid": ["middle", "A", "B"]},'
        ' "lines": {"base": "S>N"}, "measurements": [{"code": "X", "name": "x", "unit": "mm",'
        ' "recipe": ["along", "S>mid", "base"], "sign": "larger: longer"}]}',
        encoding="utf-8-sig",  # as some editors save it
    )
    measured = measure(load_analysis(file), FACES[:1], LANDMARKS)
    assert measured.values[0, 0] == pytest.approx((56 * 60 + 60 * -10) / np.hypot(60, 10))


NORM = {
    "mean": 1, "sd": 2, "population": "p", "age": "adult", "sex": "both", "source": "s", "verified": True
}  # fmt: skip
CLASSES = {
    "limits": [1, 2], "names": ["a", "b", "c"], "codes": [1, 2, 3], "keeps_limits": "b", "source": "s"
}  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"recipe": ["angle", "N>S"]}, r"X: 'angle' with 1 items, expected 2"),
        ({"recipe": ["plus", 1]}, r"'plus' with 1 items, expected two or more"),
        ({"recipe": ["corner", "N>S"]}, r"'corner' is no operation"),
        ({"recipe": []}, r"None is no operation"),
        ({"recipe": ["angle", "N>S", "N>N"]}, r"line 'N>N', expected"),
        ({"recipe": ["times", float("nan"), ["angle", "N>S", "N>A"]]}, r"'times' nan, expected a number"),
        ({"recipe": ["plus", float("inf"), ["angle", "N>S", "N>A"]]}, r"X: inf, expected a number"),
        ({"facing": ["S", "S", "Me"]}, r"facing \['S', 'S', 'Me'\], expected three landmarks"),
        ({"recipe": ["angle", "N>S", "NA"]}, r"line 'NA', expected \"A>B\""),
        ({"recipe": "SNA"}, r"measurement 'SNA' is not in this file"),
        ({"recipe": {"angle": 1}}, r"expected a number, a code or a list"),
        ({"recipe": ["minus", "X", 90]}, r"X -> X: a measurement made of itself"),
        ({"recipe": ["times", "X", 2]}, r"'times' 'X', expected a number first"),
        ({"recipe": ["plus", ["angle", "N>S", "N>A"], ["length", "N>S"]]}, r"'plus' of deg and mm"),
        ({"unit": "ratio", "recipe": ["ratio", ["length", "N>S"], 2]}, r"'ratio' of mm and a bare number"),
        (
            {"unit": "ratio", "recipe": ["ratio", ["plus", ["length", "N>S"], 2], ["length", "N>Me"]]},
            r"'ratio' of a sum of mm and a bare number",
        ),
        ({"unit": "ratio", "recipe": ["ratio", 1, ["angle", "N>S", "N>A"]]}, r"'ratio' of deg and a bare"),
        (
            {"unit": "mm", "recipe": ["times", 2, ["signed", ["length", "N>S"], ["along", "N>S", "N>A"]]]},
            r"X: 'times' of a 'signed' recipe, whose sign may be wrong",
        ),
        ({"recipe": ["length", "N>S"]}, r"unit 'deg', but its recipe gives 'mm'"),
        ({"recipe": 90}, r"'a bare number'"),
        ({"unit": "inch"}, r"unit 'inch'"),
        ({"facing": None, "recipe": ["turn", "N>S", "N>A"]}, r"\['turn'\] need a side, but facing is null"),
        ({"facing": ["S", "N"]}, r"expected three landmarks"),
        ({"points": {"P": ["third", "A", "B"]}}, r"point 'P'"),
        (
            {"points": {"P": ["middle", "P", "B"]}, "recipe": ["angle", "N>S", "N>P"]},
            r"P -> P: a point made of",
        ),
        ({"odd": 1}, r"found \['measurements', 'name', 'odd'"),
        ({"colour": 1}, r"measurement 1: found"),
        ({"measurements": []}, r"expected a list of at least one"),
        ({"measurements": [own()["measurements"][0]] * 2}, r"codes \['X'\] given twice"),
        ({"norms": [{"mean": 1}]}, r"X: norm with \['mean'\]"),
        ({"norms": [NORM | {"mean": "82"}]}, r"norm's mean '82', expected a number"),
        ({"norms": [NORM | {"sd": 0}]}, r"norm's sd 0, expected a number above 0"),
        ({"norms": [NORM | {"sex": "any"}]}, r"norm's sex 'any'"),
        ({"norms": [NORM | {"ages": [12, 9]}]}, r"norm's ages \[12, 9\]"),
        ({"classes": {"limits": [1]}}, r"X: classes with \['limits'\]"),
        ({"code": 5}, r"5: code 5, spread None, expected text"),
        ({"spread": "2"}, r"X: code 'X', spread '2', expected text, and a number above 0"),
        ({"classes": CLASSES | {"limits": ["1", "2"]}}, r"limits \['1', '2'\] with names"),
        ({"classes": CLASSES | {"limits": [2, 1]}}, r"expected limits in rising order"),
        ({"classes": CLASSES | {"names": ["a", "b"]}}, r"one name and one code more than limits"),
        ({"classes": CLASSES | {"keeps_limits": "d"}}, r"keeps_limits 'd'"),
    ],
)
def test_what_is_wrong_with_an_analysis_is_said(changes: dict, message: str) -> None:
    with pytest.raises(ValueError, match=r"^own.json.*" + message):
        built(**changes)


def test_a_cycle_over_two_measurements_is_named() -> None:
    first, second = own()["measurements"][0], own(code="Y", recipe="X")["measurements"][0]
    with pytest.raises(ValueError, match=r"X -> Y -> X: a measurement made of itself"):
        built(measurements=[first | {"recipe": ["plus", "Y", 1]}, second])


def test_files_that_are_no_analysis(tmp_path) -> None:
    with pytest.raises(ValueError, match=r"analysis 'stiener' not found. Give one of \['downs'"):
        load_analysis("stiener")
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(ValueError, match="not valid JSON"):
        load_analysis(tmp_path / "a.json")
    (tmp_path / "b.json").write_text("[]")
    with pytest.raises(ValueError, match=r"b.json: found \[\]"):
        load_analysis(tmp_path / "b.json")


def test_every_norm_says_whose_it_is_and_no_word_is_a_diagnosis() -> None:
    for name in shipped_analyses():
        for measurement in load_analysis(name).measurements:
            for norm in measurement.norms:
                assert norm.population and norm.age and norm.source
            words = f"{measurement.name} {measurement.sign} {measurement.note}".lower()
            assert not any(
                word in words for word in ("gnathic", "malocclusion", "abnormal", "treat", "deficien")
            )
