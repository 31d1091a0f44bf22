"""The challenge's predictions file: what is written is what is read, and all that is wrong is listed."""

import copy
import json
from collections.abc import Callable

import numpy as np
import pytest

from datasets.landmarks.cl_predictions import (
    check_predictions,
    read_content,
    read_predictions,
    write_predictions,
)

SIZE = (84, 72)  # width, height


def some_points() -> dict[int, np.ndarray]:
    """Two slices, continuous pixels inside ``SIZE``."""
    rng = np.random.default_rng(0)
    return {number: rng.uniform(0.5, 71.5, (38, 2)) for number in (1, 2)}


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> dict:
    file = tmp_path_factory.mktemp("predictions") / "out.json"
    write_predictions(file, some_points())
    return json.loads(file.read_text())


def test_what_is_written_is_the_published_form_in_index_coordinates(tmp_path):
    points = {2: np.full((38, 2), 10.0), 1: np.full((38, 2), 3.0)}
    points[1][0] = 831.9453125, 994.25
    file = tmp_path / "new" / "expected_output.json"
    write_predictions(file, points)
    content = json.loads(file.read_text())
    assert content.keys() == {"name", "type", "points", "version"}
    assert content["name"] == "Orthodontic landmarks" and content["type"] == "Multiple points"
    assert content["version"] == {"major": 1, "minor": 0}
    assert content["points"][0] == {"name": "1", "point": [831.4453, 993.75, 1]}
    assert [point["name"] for point in content["points"]] == 2 * [str(k) for k in range(1, 39)]
    assert [point["point"][2] for point in content["points"]] == 38 * [1] + 38 * [2]
    assert content["points"][-1]["point"] == [9.5, 9.5, 2]


def test_what_is_written_is_read_back_in_any_order(tmp_path, sound):
    shuffled = {**sound, "points": sound["points"][::-1]}
    (tmp_path / "out.json").write_text(json.dumps(shuffled))
    found = read_predictions(tmp_path / "out.json")
    assert list(found) == [1, 2]
    for number, points in some_points().items():
        np.testing.assert_allclose(found[number], points, atol=1e-4)


def test_a_sound_file_has_no_problem_and_whole_numbers_may_be_floats(sound):
    assert check_predictions(sound) == [] == check_predictions(sound, num_slices=2, size=SIZE)
    content = copy.deepcopy(sound)
    for point in content["points"]:
        point["point"][2] = float(point["point"][2])
    assert check_predictions(content, num_slices=2, size=SIZE) == []


FAULTS: dict[str, tuple[Callable[[dict], object], str]] = {
    "no header": (lambda c: c.pop("name"), "'name' is None, expected 'Orthodontic landmarks'"),
    "type": (lambda c: c.update(type="Points"), "'type' is 'Points', expected 'Multiple points'"),
    "version": (lambda c: c.update(version="1.0"), "'version' is '1.0'"),
    "no points": (lambda c: c.pop("points"), "'points' is None, expected a list"),
    "an entry": (lambda c: c["points"].append("x"), "points[76]: 'x', expected an object"),
    "a name": (lambda c: c["points"][3].update(name=4), "points[3]: name 4, expected text from '1' to '38'"),
    "a name beyond": (lambda c: c["points"][3].update(name="39"), "points[3]: name '39'"),
    "a flat point": (lambda c: c["points"][3].update(point=[1, 2]), "points[3]: point [1, 2], expected the"),
    "text": (lambda c: c["points"][3]["point"].__setitem__(0, "1"), "expected the numbers [x, y, slice]"),
    "nan": (lambda c: c["points"][3]["point"].__setitem__(0, float("nan")), "expected finite numbers"),
    "huge": (lambda c: c["points"][3]["point"].__setitem__(1, 10**400), "expected finite numbers"),
    "slice 0": (lambda c: c["points"][3]["point"].__setitem__(2, 0), "expected a whole slice number"),
    "half a slice": (lambda c: c["points"][3]["point"].__setitem__(2, 1.5), "expected a whole slice number"),
    "missing": (lambda c: c["points"].pop(40), "slice 2: landmarks 3 missing."),
    "twice": (lambda c: c["points"].append(c["points"][40]), "slice 2: landmarks 3 more than once."),
    "a slice": (lambda c: c.update(points=c["points"][:38]), "no point in slices 2, expected slices 1 to 2"),
    "no slice": (lambda c: c.update(points=[]), "no point in slices 1, 2, expected slices 1 to 2"),
    "beyond": (lambda c: c["points"][3]["point"].__setitem__(2, 3), "points in slices 3, the stack has 2"),
    "outside": (lambda c: c["points"][9]["point"].__setitem__(0, 83.51), "is not inside the 84x72 image"),
    "negative": (lambda c: c["points"][3]["point"].__setitem__(1, -0.51), "slice 1, landmark 4 at x="),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_is_wrong_is_said(sound, fault):
    change, message = FAULTS[fault]
    content = copy.deepcopy(sound)
    change(content)
    problems = check_predictions(content, num_slices=2, size=SIZE)
    assert any(message in problem for problem in problems), problems


def test_everything_that_is_wrong_is_listed_at_once(sound):
    content = copy.deepcopy(sound)
    for fault in ("type", "version", "a name", "missing", "outside"):
        FAULTS[fault][0](content)
    problems = check_predictions(content, num_slices=3, size=SIZE)
    assert len(problems) == 7  # and: landmark 4 of slice 1 has lost its name, slice 3 has no point


def test_without_a_stack_the_slices_must_leave_no_gap(sound):
    content = copy.deepcopy(sound)
    for point in content["points"][38:]:
        point["point"][2] = 500_000_000
    (problem,) = check_predictions(content)
    assert problem.startswith("no point in slices 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 ...")


@pytest.mark.parametrize("content", [[], None, "text", 5])
def test_another_kind_of_json_is_named(content):
    assert check_predictions(content) == [
        f"the file holds a {type(content).__name__}, expected a JSON object."
    ]


def test_a_border_pixel_is_inside(sound):
    content = copy.deepcopy(sound)
    content["points"][0]["point"][:2] = -0.5, 71.5
    assert check_predictions(content, size=SIZE) == []


def test_nothing_unsound_is_written(tmp_path):
    file = tmp_path / "out.json"
    file.write_text("before")
    broken = some_points()
    broken[2][5, 0] = np.nan
    with pytest.raises(ValueError, match=r"out.json: points\[43\].*finite"):
        write_predictions(file, broken)
    with pytest.raises(ValueError, match="no point in slices 2"):
        write_predictions(file, {1: broken[1], 3: broken[1]})
    assert file.read_text() == "before" and list(tmp_path.iterdir()) == [file]


def test_an_unreadable_file_is_named(tmp_path, sound):
    (tmp_path / "cut.json").write_text(json.dumps(sound)[:-20])
    with pytest.raises(ValueError, match="cut.json: not valid JSON"):
        read_content(tmp_path / "cut.json")
    (tmp_path / "binary.json").write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(ValueError, match="binary.json: not valid JSON"):
        read_content(tmp_path / "binary.json")
    with pytest.raises(ValueError, match="absent.json: cannot be read"):
        read_content(tmp_path / "absent.json")
    (tmp_path / "empty.json").write_text("{}")
    with pytest.raises(ValueError, match=r"empty.json: 'name' is None.*\(and 1 more problems\)"):
        read_predictions(tmp_path / "empty.json")
