"""The review page in a real browser, by mouse: what a person sees and does, and what is on the disk then."""

import time
from typing import Any

import pytest

from review_page.jobs import Progress
from review_page.session import Session
from tests.support.browser import Tab
from tests.support.review import Served

pytestmark = pytest.mark.slow


def test_the_implausible_film_comes_first_and_says_why(tab: Tab, review: Served) -> None:
    assert tab.text("#film-name") == "film2.png"
    assert "no such X-ray: they are far apart" in tab.text("#banner")
    first = review.order(2)[0]
    assert tab.chosen() == first and "decides" in tab.text(f"#landmark-{first}")
    assert tab.page.locator("#measurements tbody tr").count() == 8
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


def test_a_drag_measures_one_at_a_time_and_is_one_change(tab: Tab, review: Served) -> None:
    index = tab.chosen()
    before, value = review.mark(index, 2), tab.text("#measurements tbody")
    under_way = _most_at_once(tab.page)
    start, size = tab.place(index), tab.scale()
    tab.page.mouse.move(*start)
    tab.page.mouse.down()
    for step in range(1, 31):
        tab.page.mouse.move(start[0] + step, start[1] + 0.4 * step)
    tab.page.wait_for_timeout(300)
    assert under_way == [1] and review.kinds() == []
    assert tab.text("#measurements tbody") != value
    tab.page.mouse.up()
    tab.saved()
    mark = review.mark(index, 2)
    moved = mark["x"] - before["x"], mark["y"] - before["y"]
    assert mark["state"] == "moved" and moved == pytest.approx((30 / size, 12 / size), abs=0.1)
    tab.keys("Control+z")
    tab.saved()
    assert review.mark(index, 2) == before and tab.text("#measurements tbody") == value
    assert review.kinds() == ["place", "undo"]


def _most_at_once(page: Any) -> list[int]:
    """[how many measurements were asked for at once, at most], as it grows."""
    open_ones, most = [0], [0]

    def begun(request: Any) -> None:
        open_ones[0] += request.url.endswith("/api/measure")
        most[0] = max(most[0], open_ones[0])

    def ended(request: Any) -> None:
        open_ones[0] -= request.url.endswith("/api/measure")

    page.on("request", begun)
    page.on("requestfinished", ended)
    return most


def test_no_landmark_moves_by_accident(tab: Tab, review: Served) -> None:
    chosen = tab.chosen()
    other = next(index for index in (9, 12) if index != chosen)
    tab.drag(tab.place(other), (40, 0))  # not the chosen one: the film is panned
    tab.keys("0", "Enter", "Backspace")
    tab.saved()
    tab.drag(tab.place(chosen), (40, 0))
    assert "not dragged by accident" in tab.text("#said")
    start = tab.place(chosen)
    tab.keys("0", "n")
    tab.page.mouse.move(*tab.place(tab.chosen()))
    tab.page.mouse.down()
    tab.page.mouse.move(start[0] + 60, start[1] + 60)
    tab.keys("Escape")
    tab.page.mouse.up()
    tab.page.wait_for_timeout(200)
    assert review.kinds() == ["confirm"]


def test_a_locked_film_takes_no_change_and_filters_find_films(tab: Tab, review: Served) -> None:
    tab.open_film(0)
    for _ in range(19):
        tab.keys("Enter")
    tab.saved()
    tab.page.locator("#lock").click()
    tab.open_film(1)
    tab.keys("g", "Enter")
    tab.saved()
    for name, film in (("done", "film0.png"), ("flagged", "film1.png")):
        tab.page.locator("#film-filter").select_option(name)
        assert film in tab.text("#film-list")
    tab.page.locator("#film-filter").select_option("all")
    tab.open_film(0)
    before = review.kinds()
    tab.page.locator("#film").focus()
    tab.keys("ArrowRight", "m")
    assert "locked" in tab.text("#said")
    tab.saved()
    assert review.kinds() == before and review.session.show(0)["state"] == "locked"


def test_following_a_protocol_tells_what_came_of_it(context: Any, review: Served) -> None:
    def refuses(session: Session, progress: Progress) -> None:
        raise ValueError("The millimetre of 1 reviewed films is not known.")

    def works(session: Session, progress: Progress) -> None:
        time.sleep(0.5)
        progress.message = "12 % less to correct"

    review.jobs.adaptation = refuses
    tab = Tab(context.new_page(), review.address)
    tab.keys(*["Enter"] * 19)
    tab.page.locator("#reviewed").click()
    tab.saved()
    for work, words in ((refuses, "The millimetre"), (works, "12 % less to correct")):
        review.jobs.adaptation = work
        tab.page.locator("#adapt").click()
        tab.page.wait_for_selector("#told-dialog[open]")
        assert words in tab.text("#told-text")
        tab.leave("#told-dialog")
    assert tab.errors == []


def test_what_is_taken_along_lies_in_exports(tab: Tab, review: Served) -> None:
    tab.page.locator("#export").click()
    tab.page.locator("#export-dialog [value='prepared']").click()
    tab.page.wait_for_selector("#told-dialog[open]")
    assert "No film is reviewed yet" in tab.text("#told-text")
    tab.leave("#told-dialog")
    tab.page.locator("#film").focus()
    tab.keys(*["Enter"] * 19)
    tab.page.locator("#reviewed").click()
    tab.saved()
    for kind, name in (("csv", "landmarks.csv"), ("mrk", "mrk.json"), ("report", "report.html")):
        tab.page.locator("#export").click()
        tab.page.locator(f"#export-dialog [value='{kind}']").click()
        tab.page.wait_for_selector("#told-dialog[open]")
        assert name in tab.text("#told-text")
        assert list(review.session.folder.exports.rglob(f"*{name}"))
        tab.leave("#told-dialog")
