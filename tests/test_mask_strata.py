"""Splits and folds that are even in the columns of a table that somebody names."""

from collections import Counter
from pathlib import Path

import pytest

from datasets.masks.folds import folds_by_person
from datasets.masks.hand_task import read_columns
from datasets.masks.matching import deal_split
from datasets.masks.strata import strata_of_columns


def table(folder: Path, text: str) -> Path:
    file = folder / "persons.csv"
    file.write_text(text, encoding="utf-8")
    return file


def test_columns_are_read_by_person_whatever_the_case_of_their_titles(tmp_path):
    file = table(tmp_path, "Hospital,id,Gender,age\n North ,P1,F,31\nSouth,P2,?,\n\n")
    assert read_columns(file, ["P1", "P2"], ["hospital", "sex", "Age"]) == {
        "P1": ("North", "female", "31"),
        "P2": ("South", "", ""),
    }


@pytest.mark.parametrize("name", ["hospital", "side"])
def test_a_column_that_is_not_there_is_refused(tmp_path, name):
    file = table(tmp_path, "ID,sex,age\nP1,F,31\n")
    with pytest.raises(ValueError, match=rf"persons\.csv: columns \['id', 'sex', 'age'\], .* named {name}"):
        read_columns(file, ["P1"], [name])


def test_persons_of_the_same_values_are_one_group():
    women, men = dict.fromkeys("ac", ("north", "female")), dict.fromkeys("bd", ("north", "male"))
    values = women | men
    groups = strata_of_columns(("hospital", "sex"), values, list(values))
    assert groups == dict.fromkeys("ac", "north, female") | dict.fromkeys("bd", "north, male")
    nobody = strata_of_columns(("hospital", "sex"), {}, ["x", "y"])
    assert nobody == {"x": ", ", "y": ", "}, "without a row, persons are of no value"


def test_numbers_are_cut_into_four_bands_of_as_many_persons():
    ages = {f"P{age}": (str(age),) for age in range(20, 60)}
    groups = strata_of_columns(("age",), ages | {"unknown": ("",)}, [*ages, "unknown"])
    assert Counter(groups.values()) == {"0": 10, "1": 10, "2": 10, "3": 10, "": 1}
    assert groups["P29"] == "0" and groups["P30"] == "1" and groups["P59"] == "3"
    few = {"a": ("1",), "b": ("2",), "c": ("1",), "d": ("2",)}
    assert set(strata_of_columns(("grade",), few, list(few)).values()) == {"1", "2"}


def test_a_column_in_which_nearly_all_differ_is_refused():
    names = {person: (f"name of {person}",) for person in "abcd"}
    with pytest.raises(ValueError, match=r"--stratify name: 4 persons in 4 groups, expected two persons or"):
        strata_of_columns(("name",), names, list(names))


def test_many_small_groups_do_not_bring_one_sex_into_val_alone():
    """Two persons in each of 50 groups of either sex: with a place of the same share in each group, val was
    dealt of women alone.
    """
    strata = {f"P{n}": f"{('female', 'male')[n % 2]}, {n // 4:02d}" for n in range(200)}
    split = deal_split({person: person for person in strata}, {"val": 0.15, "test": 0.2}, 0, strata)
    for name, count in (("train", 130), ("val", 30), ("test", 40)):
        women = sum(strata[person].startswith("female") for person in split[name])
        assert len(split[name]) == count and abs(women - count / 2) <= 2, name


def test_splits_and_folds_are_even_in_every_group():
    """Three hospitals of 20, 12 and 8 persons, half of them women."""
    hospitals = ["A"] * 20 + ["B"] * 12 + ["C"] * 8
    values = {f"P{n}": (name, ("F", "M")[n % 2]) for n, name in enumerate(hospitals)}
    strata = strata_of_columns(("hospital", "sex"), values, list(values))
    persons = {person: person for person in values}
    split = deal_split(persons, {"val": 0.25, "test": 0.25}, 0, strata)
    for name, share in (("train", 2), ("val", 4), ("test", 4)):
        found = Counter(strata[case] for case in split[name])
        for group, count in Counter(strata.values()).items():
            assert abs(found[group] - count / share) <= 1.0, (name, group)
    for part in folds_by_person(persons, 2, 0, strata):
        assert Counter(strata[case] for case in part) == {
            group: count // 2 for group, count in Counter(strata.values()).items()
        }
