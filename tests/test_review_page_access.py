"""The review page by axe-core's rules of accessibility, its windows too, light and dark."""

from typing import Any

import pytest

from tests.support.browser import Tab
from tests.support.review import Served


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(browser: Any, review: Served, scheme: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    context = browser.new_context(
        viewport={"width": 1440, "height": 900}, color_scheme=scheme, reduced_motion="reduce"
    )
    tab = Tab(context.new_page(), review.address)
    tab.keys("m", "f", "Enter")
    tab.saved()
    for opened in (None, "help", "export", "unsure", "wiggle-part"):
        if opened:
            tab.page.locator(f"#{opened}").click()
        found = axe.run(tab.page).response["violations"]
        serious = [
            (one["id"], one["nodes"][0]["html"][:120])
            for one in found
            if one["impact"] in ("serious", "critical")
        ]
        assert serious == [], opened
        tab.keys("Escape")
    context.close()
