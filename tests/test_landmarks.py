"""Landmark sets: the shipped ones agree, and a wrong file of one's own is explained."""

import json

import pytest

from datasets.landmarks.landmark_set import LandmarkSet, load_landmark_set


def test_the_shipped_sets_agree_on_their_first_nineteen():
    isbi, cl = load_landmark_set("isbi19"), load_landmark_set("cl38")
    assert (len(isbi), len(cl)) == (19, 38)
    assert isbi.landmarks == cl.landmarks[:19] and isbi.abbreviations == cl.abbreviations[:19]
    assert (isbi.name, cl.name) == ("isbi19", "cl38")


@pytest.mark.parametrize("name", ["isbi19", "cl38"])
def test_a_set_survives_its_own_file(name, tmp_path):
    shipped = load_landmark_set(name)
    (tmp_path / "own.json").write_text(json.dumps(shipped.to_dict()))
    assert load_landmark_set(tmp_path / "own.json") == shipped


def test_abbreviations_pairs_and_note_may_be_left_out():
    small = LandmarkSet.from_dict({"name": "two", "landmarks": ["sella", "nasion"]})
    assert small == LandmarkSet("two", ("sella", "nasion"), ("sella", "nasion"))


def test_an_unknown_name_lists_the_sets_that_ship():
    with pytest.raises(ValueError, match=r"'isbi20' not found\. Give one of \['cl38', 'isbi19'\]"):
        load_landmark_set("isbi20")
    with pytest.raises(ValueError, match=r"absent\.json' not found"):
        load_landmark_set("absent.json")


GOOD = {"name": "two", "landmarks": ["sella", "nasion"]}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([], r"own\.json: found list, expected the keys \['landmarks', 'name'\]"),
        ({"name": "two"}, r"own\.json: found \['name'\], expected the keys"),
        (GOOD | {"colour": "red"}, r"own\.json: found \['colour', .* at most"),
        (GOOD | {"landmarks": []}, r"names must be present and distinct"),
        (GOOD | {"landmarks": ["sella", "sella"]}, r"names must be present and distinct"),
        (GOOD | {"landmarks": ["sella", " sella"]}, r"names must be present and distinct"),
        (GOOD | {"landmarks": ["sella", " "]}, r"names must be present and distinct"),
        (GOOD | {"name": 2}, r"own\.json: name 2, expected a word"),
        (GOOD | {"name": "both hands"}, r"own\.json: landmark set 'both hands', expected letters, digits"),
        (GOOD | {"abbreviations": ["S"]}, r"1 distinct abbreviations for 2 landmarks"),
        (GOOD | {"abbreviations": ["S", "S"]}, r"1 distinct abbreviations for 2 landmarks"),
        (GOOD | {"pairs": [[0, 2]]}, r"must name distinct indices below 2"),
        (GOOD | {"pairs": [[0, 1], [1, 0]]}, r"must name distinct indices below 2"),
        (GOOD | {"pairs": [[-1, 0]]}, r"must name distinct indices below 2"),
        (GOOD | {"landmarks": "sella"}, r"own\.json.*landmarks"),
        (GOOD | {"pairs": [[0]]}, r"own\.json.*pairs"),
        (GOOD | {"pairs": [["left", "right"]]}, r"own\.json.*pairs"),
    ],
)
def test_a_wrong_file_is_explained(data, message, tmp_path):
    (tmp_path / "own.json").write_text(json.dumps(data))
    with pytest.raises(ValueError, match=message):
        load_landmark_set(tmp_path / "own.json")


def test_a_file_that_is_not_json_is_named(tmp_path):
    for content in (b"{'name': 1}", '{"name": "Höcker"}'.encode("latin-1")):
        (tmp_path / "own.json").write_bytes(content)
        with pytest.raises(ValueError, match=r"own\.json: not valid JSON"):
            load_landmark_set(tmp_path / "own.json")


def test_sides_that_are_no_pair_are_found():
    names = ("apex", "heart, right border (outer)", "heart, left border (outer)", "right lung", "left lung")
    one = LandmarkSet("chest", names, names, pairs=((3, 4),))
    assert one.unpaired_sides() == [names[1:3]]
    assert LandmarkSet("chest", names, names, pairs=((4, 3), (1, 2))).unpaired_sides() == []
