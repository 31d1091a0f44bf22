"""The review page by keyboard alone."""

import math
from typing import Any

import pytest

from tests.support.browser import Tab
from tests.support.fake_review import FakeReview

pytestmark = pytest.mark.slow


def last(fake: FakeReview) -> dict[str, Any]:
    return dict(fake.events[-1])


def test_enter_confirms_and_goes_on_to_the_next_by_effect(tab: Tab, fake: FakeReview) -> None:
    order = [0, 1, 4]
    for index in order:
        assert tab.chosen() == index
        tab.keys("Enter")
    tab.saved()
    assert [event["index"] for event in fake.events] == order
    tab.keys("Backspace")
    assert tab.chosen() == 4
    assert "confirmed" in tab.text("#said")


@pytest.mark.parametrize(
    ("key", "by"), [("ArrowRight", 1), ("Shift+ArrowRight", 10), ("Alt+ArrowRight", 0.25)]
)
def test_arrow_keys_move_by_1_10_and_a_quarter(tab: Tab, fake: FakeReview, key: str, by: float) -> None:
    before = fake.cases[2]["landmarks"][0]["x"]
    tab.keys(key)
    tab.saved()
    assert fake.cases[2]["landmarks"][0]["x"] == pytest.approx(before + by)
    assert tab.text("#said").endswith("saved")


def test_states_and_notes_and_the_way_back(tab: Tab, fake: FakeReview) -> None:
    tab.keys("m")
    tab.saved()
    assert fake.cases[2]["landmarks"][0]["state"] == "not visible"
    tab.keys("Control+z")
    tab.saved()
    assert fake.cases[2]["landmarks"][0]["state"] == "predicted"
    tab.keys("Control+Shift+Z")
    tab.saved()
    assert fake.cases[2]["landmarks"][0]["state"] == "not visible"
    tab.keys("r")
    tab.saved()
    assert fake.cases[2]["landmarks"][0]["x"] == fake.cases[2]["landmarks"][0]["predicted"]["x"]
    tab.keys("f")
    tab.page.keyboard.type("two shadows <b>")
    tab.keys("Enter")
    tab.saved()
    assert last(fake) == {"kind": "state", "index": 0, "state": "unsure", "note": "two shadows <b>"}
    assert "two shadows <b>" in tab.text("#queue")


def test_a_place_and_a_scale_by_keyboard(tab: Tab, fake: FakeReview) -> None:
    tab.keys("m", "p", "Shift+ArrowDown", "Enter")
    tab.saved()
    assert last(fake)["kind"] == "place"
    tab.keys("c", "Enter", *["Shift+ArrowRight"] * 3, "Enter")
    tab.page.wait_for_selector("#length-dialog[open]")
    tab.page.locator("#length").focus()
    tab.page.keyboard.type("12")
    tab.keys("Enter")
    tab.saved()
    event = last(fake)
    assert (event["kind"], event["mm"], event["all_cases"]) == ("calibrate", 12, False)
    assert math.dist(event["one"], event["two"]) == pytest.approx(30)
    assert "0.4000 mm a pixel (ruler)" in tab.text("#spacing")


def test_views_by_keyboard_stay_from_film_to_film(tab: Tab) -> None:
    tab.keys("i", "]", "]", "'", ".", "l", "u", "t", "z")
    tables = tab.page.locator("feFuncR").get_attribute("tableValues").split()
    assert float(tables[0]) > 0.9 > 0.1 > float(tables[-1])
    assert tab.page.locator("#tracing > *, #rings > *").count() == 0
    assert not tab.page.locator("#loupe").is_visible()
    tab.keys("PageDown")
    tab.page.wait_for_selector("body[data-shown='1'], body[data-shown='0']")
    assert tab.page.locator("feFuncR").get_attribute("tableValues").split() == tables
    assert tab.page.locator("#contrast").input_value() == "1.2"
