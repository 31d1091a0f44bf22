"""The review page on a tablet: by fingers alone."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.browser import Tab
from tests.support.review import Served

pytestmark = pytest.mark.slow
TABLET = {"viewport": {"width": 820, "height": 1180}, "has_touch": True, "is_mobile": True}


@pytest.fixture
def tablet(browser: Any, review: Served) -> Iterator[Tab]:
    context = browser.new_context(**TABLET)
    opened = Tab(context.new_page(), review.address)
    yield opened
    context.close()
    assert opened.errors == []


def test_fingers_choose_pinch_and_drag_by_the_handle(tablet: Tab, review: Served) -> None:
    index = 9
    x, y = tablet.place(index)
    tablet.page.touchscreen.tap(x, y)
    assert tablet.chosen() == index
    handle = tablet.page.locator(".handle circle").bounding_box()
    below = handle["y"] + handle["height"] / 2 - tablet.place(index)[1]
    assert below == pytest.approx(40, abs=2)
    start = handle["x"] + handle["width"] / 2, handle["y"] + handle["height"] / 2
    tablet.fingers([[start], [(start[0] + 10, start[1])], [(start[0] + 24, start[1] - 6)]])
    tablet.saved()
    assert review.kinds() == ["place"]
    assert tablet.place(index) == pytest.approx((x + 24, y - 6), abs=1.5)
    size = tablet.scale()
    tablet.fingers([[(300, 500), (340, 500)], [(280, 500), (360, 500)], [(240, 500), (400, 500)]])
    assert tablet.scale() > 2 * size
    assert review.kinds() == ["place"]


def test_all_that_is_dragged_or_typed_can_be_tapped(tablet: Tab, review: Served) -> None:
    def tap(*names: str) -> None:
        for name in names:
            tablet.page.locator(name).tap()
            tablet.saved()

    index = tablet.chosen()
    x, y = tablet.place(index)
    tap("#by-tap")
    tablet.page.touchscreen.tap(x + 20, y + 5)
    tablet.saved()
    assert tablet.place(index) == pytest.approx((x + 20, y + 5), abs=1.5)
    at = review.mark(index, 2)["x"]
    tap("[data-nudge='1 0']")
    assert review.mark(index, 2)["x"] == pytest.approx(at + 1)
    tap("#confirm", "#not-visible", "#reset", "#undo", "#redo", "#confirm", "#zoom-in", "#zoom-fit")
    tap("#invert", "#names", "#circles", "#lines", "#loupe-shown", "#plain", "#back", "#theme")
    tablet.page.locator("#unsure").tap()
    tap("#note-dialog [value='ok']")
    kinds = ["place", "place", "state", "reset", "undo", "redo", "confirm", "state"]
    assert review.kinds() == kinds
    tablet.page.locator("#flag").tap()
    tap("#note-dialog [value='ok']")
    assert review.session.show(2)["flagged"]
    tablet.page.locator("#export").tap()
    tablet.page.locator("#export-dialog [value='json']").tap()
    tablet.page.locator("#told-dialog [value='ok']").tap()
    assert (review.session.folder.exports / "landmarks.json").is_file()
    tablet.page.locator("#next").tap()
    tablet.page.wait_for_selector("body[data-shown='0']")


def test_a_scale_by_taps_on_all_films(tablet: Tab, review: Served) -> None:
    tablet.page.locator("#calibrate").tap()
    x, y = tablet.place(9)
    size = tablet.scale()
    tablet.page.touchscreen.tap(x, y)
    tablet.page.touchscreen.tap(x + 100, y)
    tablet.page.wait_for_selector("#length-dialog[open]")
    tablet.page.locator("#length").fill("50")
    tablet.page.locator("#length-all").tap()
    tablet.page.locator("#length-dialog [value='ok']").tap()
    tablet.saved()
    for number in range(3):
        assert review.session.show(number)["spacing_mm"][0] == pytest.approx(50 * size / 100, rel=0.01)


def test_what_is_tapped_is_large_enough(tablet: Tab) -> None:
    sizes = tablet.page.evaluate(
        """() => [...document.querySelectorAll('button, select, input, [role=option]')]
           .filter((one) => one.checkVisibility()).map((one) => one.getBoundingClientRect())
           .map(({width, height}) => Math.min(width, height))"""
    )
    assert min(sizes) >= 24  # CSS pixels: WCAG 2.5.8
