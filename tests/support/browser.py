"""Debian's Chromium, driven by Playwright; tests that need it are skipped where it is not installed."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")


@contextmanager
def chromium() -> Iterator[Any]:
    """A running browser."""
    if CHROMIUM is None:
        pytest.skip("no Chromium: apt install chromium, or CHROMIUM=/path/to/it")
    playwright = pytest.importorskip("playwright.sync_api", reason="pip install playwright")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


class Tab:
    """A page of the browser, and what it asked for and complained of."""

    def __init__(self, page: Any, address: str) -> None:
        self.page, self.asked, self.errors = page, [], []
        page.set_default_timeout(30_000)  # two cores that do much else
        page.on("request", lambda request: self.asked.append(request.url))
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", self._said)
        page.goto(address)
        page.wait_for_selector("body[data-shown]")

    def _said(self, message: Any) -> None:
        is_of_network = "Failed to load resource" in message.text  # a status that a test asked for
        if message.type == "error" and not is_of_network:
            self.errors.append(message.text)

    def keys(self, *names: str) -> None:
        for name in names:
            self.page.keyboard.press(name)

    def foreign(self) -> list[str]:
        """What it asked of anybody but its own server."""
        own = self.page.url.split("#")[0]
        return [url for url in self.asked if not url.startswith((own, "blob:" + own))]

    def saved(self) -> None:
        self.page.wait_for_selector("body[data-unsaved='0']")

    def text(self, selector: str) -> str:
        return self.page.locator(selector).inner_text()

    def chosen(self) -> int:
        """The chosen landmark's index."""
        row = self.page.locator("#queue [aria-selected='true']")
        return int(row.get_attribute("id").split("-")[1])

    def place(self, index: int) -> tuple[float, float]:
        """Where a landmark is on the screen, CSS pixels."""
        box = self.page.locator(f".mark[data-index='{index}'] .shape").bounding_box()
        return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2

    def scale(self) -> float:
        """CSS pixels an image pixel."""
        return float(self.page.locator("#view").get_attribute("transform")[7:].split()[0])

    def leave(self, dialog: str) -> None:
        """By Escape, which a browser hears a little later than other keys."""
        self.keys("Escape")
        self.page.wait_for_selector(dialog, state="hidden")

    def open_film(self, number: int) -> None:
        """By the list of films."""
        self.page.locator("#film-list").select_option(str(number))
        self.page.wait_for_selector(f"body[data-shown='{number}']")

    def fingers(self, steps: list[list[tuple[float, float]]]) -> None:
        """Fingers put down, moved and lifted; a step is where each of them is."""
        session = self.page.context.new_cdp_session(self.page)
        for number, points in enumerate(steps):
            kind = "touchMove" if number else "touchStart"
            touches = [{"x": x, "y": y, "id": finger} for finger, (x, y) in enumerate(points)]
            session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": touches})
        session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})

    def drag(self, start: tuple[float, float], by: tuple[float, float], button: str = "left") -> None:
        mouse: Any = self.page.mouse
        mouse.move(*start)
        mouse.down(button=button)
        mouse.move(start[0] + by[0] / 2, start[1] + by[1] / 2)
        mouse.move(start[0] + by[0], start[1] + by[1])
        mouse.up(button=button)
