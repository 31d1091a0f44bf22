"""The review page in a real browser, against a server in memory."""

import pytest

from tests.support.browser import Tab
from tests.support.fake_review import FakeReview

pytestmark = pytest.mark.slow


def test_the_implausible_film_comes_first_and_says_why(tab: Tab) -> None:
    assert tab.text("#film-name") == "film002.png"
    assert "no such X-ray" in tab.text("#banner")
    assert "decides SNA (60 %)" in tab.text("#queue")


def test_the_token_leaves_the_address_and_nothing_is_stored(tab: Tab) -> None:
    assert "#" not in tab.page.url
    assert tab.page.evaluate("[localStorage.length, sessionStorage.length, document.cookie]") == [0, 0, ""]


def test_the_wheel_zooms_to_the_cursor_and_drags_pan(tab: Tab) -> None:
    before, size = tab.place(4), tab.scale()
    tab.page.mouse.move(*before)
    tab.page.mouse.wheel(0, -400)
    tab.page.wait_for_timeout(100)
    assert tab.scale() > 1.5 * size
    assert tab.place(4) == pytest.approx(before, abs=1.0)
    tab.drag((before[0] + 200, before[1]), (50, -30), button="middle")
    assert tab.place(4) == pytest.approx((before[0] + 50, before[1] - 30), abs=1.0)
    tab.keys("0")
    assert tab.scale() == pytest.approx(size)


def test_a_dragged_landmark_is_saved_measured_and_undone(tab: Tab, fake: FakeReview) -> None:
    index = tab.chosen()
    before, value = dict(fake.cases[2]["landmarks"][index]), tab.text("#measurements tbody")
    tab.drag(tab.place(index), (30, 12))
    tab.saved()
    mark = fake.cases[2]["landmarks"][index]
    size = tab.scale()
    assert mark["state"] == "moved"
    moved = mark["x"] - before["x"], mark["y"] - before["y"]
    assert moved == pytest.approx((30 / size, 12 / size), abs=0.1)
    assert tab.text("#measurements tbody") != value
    tab.keys("Control+z")
    tab.saved()
    assert fake.cases[2]["landmarks"][index] == before
    assert tab.text("#measurements tbody") == value


def test_only_the_chosen_landmark_moves(tab: Tab, fake: FakeReview) -> None:
    other = next(index for index in (1, 4, 5) if index != tab.chosen())
    tab.drag(tab.place(other), (40, 0))
    tab.page.wait_for_timeout(200)
    assert fake.events == []
