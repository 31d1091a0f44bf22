"""The review page by keyboard alone, and for people who use neither eyes nor colours."""

import math

import pytest

from tests.support.browser import Tab
from tests.support.review import Served

pytestmark = pytest.mark.slow


def test_landmarks_are_confirmed_moved_and_brought_back(tab: Tab, review: Served) -> None:
    order = review.order(2)
    for index in order[:2]:
        assert tab.chosen() == index
        tab.keys("Enter")
    tab.saved()
    assert [review.mark(index, 2)["state"] for index in order[:3]] == ["confirmed", "confirmed", "predicted"]
    tab.keys("Backspace", "b", "n")
    tab.page.locator("#queue").focus()
    tab.keys("ArrowDown", "ArrowUp")
    tab.page.locator("#film").focus()
    tab.keys("Backspace")
    assert "confirmed" in tab.text("#said")
    index = tab.chosen()
    before = review.mark(index, 2)
    for key, by in (("ArrowRight", 1), ("Shift+ArrowDown", 10), ("Alt+ArrowLeft", 0.25)):
        x, y = review.mark(index, 2)["x"], review.mark(index, 2)["y"]
        tab.keys(key)
        tab.saved()
        mark = review.mark(index, 2)
        assert math.dist((x, y), (mark["x"], mark["y"])) == pytest.approx(by)
    assert tab.text("#said").endswith("saved")
    tab.keys("r")
    tab.saved()
    assert (review.mark(index, 2)["x"], review.mark(index, 2)["state"]) == (before["x"], "predicted")


def test_states_notes_flags_and_undo(tab: Tab, review: Served) -> None:
    index = tab.chosen()
    for key, state in (("m", "not visible"), ("Control+z", "predicted"), ("Control+Shift+Z", "not visible")):
        tab.keys(key)
        tab.saved()
        assert review.mark(index, 2)["state"] == state
    assert "redo: " in tab.text("#said") and tab.text("#said").endswith("not visible, saved")
    tab.keys("r", "f")
    tab.page.keyboard.type("two shadows <b>")
    tab.keys("Enter")
    tab.saved()
    assert (review.mark(index, 2)["state"], review.mark(index, 2)["note"]) == ("unsure", "two shadows <b>")
    assert "two shadows <b>" in tab.text("#queue")
    tab.keys("g")
    tab.page.keyboard.type("whose film?")
    tab.keys("Enter")
    tab.saved()
    assert review.session.show(2)["flag_note"] == "whose film?"


def test_a_place_and_a_scale(tab: Tab, review: Served) -> None:
    index = tab.chosen()
    tab.keys("m", "p", "Shift+ArrowDown", "Enter")
    tab.saved()
    assert review.mark(index, 2)["state"] == "moved"
    tab.keys("c", "Enter", *["Shift+ArrowRight"] * 3, "Enter")
    tab.page.wait_for_selector("#length-dialog[open]")
    tab.page.locator("#length").focus()
    tab.page.keyboard.type("12")
    tab.keys("Enter")
    tab.saved()
    assert review.session.show(2)["spacing_mm"] == pytest.approx([0.4, 0.4])
    assert "0.4000 mm a pixel (ruler)" in tab.text("#spacing")


def test_views_stay_from_film_to_film(tab: Tab) -> None:
    tab.keys("i", "]", "]", "'", ".", "l", "u", "t", "z", "+", "+", "-", "0")
    tables = tab.page.locator("feFuncR").get_attribute("tableValues").split()
    assert float(tables[0]) > 0.9 > 0.1 > float(tables[-1])
    assert tab.page.locator("#tracing > *, #rings > *").count() == 0
    assert not tab.page.locator("#loupe").is_visible()
    tab.keys("PageDown")
    tab.page.wait_for_selector("body[data-shown]:not([data-shown='2'])")
    assert tab.page.locator("feFuncR").get_attribute("tableValues").split() == tables
    assert tab.page.locator("#contrast").input_value() == "1.2"
    tab.keys("PageUp")
    tab.page.wait_for_selector("body[data-shown='2']")


def test_letters_can_be_switched_off(tab: Tab, review: Served) -> None:
    tab.keys("?")
    tab.page.locator("#letters").focus()
    tab.keys("Space", "Escape", "m", "i", "c")
    tab.page.wait_for_timeout(100)
    assert review.kinds() == []
    assert tab.page.locator("#invert").get_attribute("aria-pressed") == "false"
    tab.keys("Enter")
    tab.saved()
    assert review.kinds() == ["confirm"]


def test_films_are_reviewed_by_the_enter_key_alone(tab: Tab, review: Served) -> None:
    for number, following in ((2, 0), (0, 1)):
        tab.page.wait_for_selector(f"body[data-shown='{number}']")
        for _ in range(20):
            tab.keys("Enter")
        tab.page.wait_for_selector(f"body[data-shown='{following}']")
    assert [case.state.image for case in review.session.cases] == ["reviewed", "open", "reviewed"]


def test_every_button_is_reached_by_tab_and_has_a_name(tab: Tab) -> None:
    names = tab.page.evaluate(
        """() => [...document.querySelectorAll('button, select, input')]
           .filter((one) => one.checkVisibility())
           .map((one) => [one.id || one.ariaLabel, one.tabIndex, one.disabled,
             (one.labels?.[0]?.textContent || one.ariaLabel || one.textContent).trim()])"""
    )
    assert len(names) > 30
    assert [name for name in names if name[1] < 0 or not name[3]] == []
    reached = set()
    for _ in range(len(names) + 12):
        tab.keys("Tab")
        reached.add(tab.page.evaluate("document.activeElement.id || document.activeElement.ariaLabel"))
    assert {name[0] for name in names if not name[2]} <= reached
