"""The review page in a real browser, against a server in memory."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.browser import Tab, chromium
from tests.support.fake_review import FakeReview, served

pytestmark = pytest.mark.slow
WIDE = {"width": 1440, "height": 900}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as found:
        yield found


@pytest.fixture
def fake() -> FakeReview:
    return FakeReview()


@pytest.fixture
def tab(browser: Any, fake: FakeReview) -> Iterator[Tab]:
    """The page on a mouse's screen; whatever a test did, the page threw nothing and broke no CSP."""
    with served(fake) as address:
        context = browser.new_context(viewport=WIDE)
        opened = Tab(context.new_page(), address)
        yield opened
        context.close()
        assert opened.errors == []


def place(tab: Tab, index: int) -> tuple[float, float]:
    """Where a landmark is on the screen, CSS pixels."""
    box = tab.page.locator(f".mark[data-index='{index}'] .shape").bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def chosen(tab: Tab) -> int:
    return int(tab.page.locator("#queue [aria-selected='true']").get_attribute("id").split("-")[1])


def scale(tab: Tab) -> float:
    return float(tab.page.locator("#view").get_attribute("transform")[7:].split()[0])


def drag(tab: Tab, start: tuple[float, float], by: tuple[float, float], *, button: Any = "left") -> None:
    mouse = tab.page.mouse
    mouse.move(*start)
    mouse.down(button=button)
    mouse.move(start[0] + by[0] / 2, start[1] + by[1] / 2)
    mouse.move(start[0] + by[0], start[1] + by[1])
    mouse.up(button=button)


def test_the_implausible_film_comes_first_and_says_why(tab: Tab) -> None:
    assert tab.text("#film-name") == "film002.png"
    assert "no such X-ray" in tab.text("#banner")
    assert "decides SNA (60 %)" in tab.text("#queue")


def test_the_token_leaves_the_address_and_nothing_is_stored(tab: Tab) -> None:
    assert "#" not in tab.page.url
    assert tab.page.evaluate("[localStorage.length, sessionStorage.length, document.cookie]") == [0, 0, ""]


def test_the_wheel_zooms_to_the_cursor_and_drags_pan(tab: Tab) -> None:
    before, size = place(tab, 4), scale(tab)
    tab.page.mouse.move(*before)
    tab.page.mouse.wheel(0, -400)
    tab.page.wait_for_timeout(100)
    assert scale(tab) > 1.5 * size
    assert place(tab, 4) == pytest.approx(before, abs=1.0)
    drag(tab, (before[0] + 200, before[1]), (50, -30), button="middle")
    assert place(tab, 4) == pytest.approx((before[0] + 50, before[1] - 30), abs=1.0)
    tab.keys("0")
    assert scale(tab) == pytest.approx(size)


def test_a_dragged_landmark_is_saved_measured_and_undone(tab: Tab, fake: FakeReview) -> None:
    index = chosen(tab)
    before, value = dict(fake.cases[2]["landmarks"][index]), tab.text("#measurements tbody")
    drag(tab, place(tab, index), (30, 12))
    tab.saved()
    mark = fake.cases[2]["landmarks"][index]
    size = scale(tab)
    assert mark["state"] == "moved"
    moved = mark["x"] - before["x"], mark["y"] - before["y"]
    assert moved == pytest.approx((30 / size, 12 / size), abs=0.1)
    assert tab.text("#measurements tbody") != value
    tab.keys("Control+z")
    tab.saved()
    assert fake.cases[2]["landmarks"][index] == before
    assert tab.text("#measurements tbody") == value


def test_only_the_chosen_landmark_moves(tab: Tab, fake: FakeReview) -> None:
    other = next(index for index in (1, 4, 5) if index != chosen(tab))
    drag(tab, place(tab, other), (40, 0))
    tab.page.wait_for_timeout(200)
    assert fake.events == []
