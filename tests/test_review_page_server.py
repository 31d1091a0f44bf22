"""The review page in a browser with the server that it is made for: what a person does is on the disk."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import uvicorn

from review_page.app import make_app
from review_page.job_list import make_jobs
from review_page.start import open_session
from tests.support.browser import Tab, chromium
from tests.support.review import TOKEN, measurer, wanted

pytestmark = pytest.mark.slow


@contextmanager
def opened_review(folder: Path) -> Iterator[str]:
    """The address of a review of three films, by the real server."""
    asked = wanted(folder)
    with open_session(asked, measurer) as session:
        app = make_app(session.session, make_jobs(session, asked), TOKEN)
        server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error", lifespan="off"))
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        while not server.started and thread.is_alive():
            thread.join(0.01)
        try:
            yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/#{TOKEN}"
        finally:
            server.should_exit = server.force_exit = True
            thread.join()


def logged(folder: Path) -> list[str]:
    """The kinds of all events in the logs."""
    lines = [
        json.loads(line)
        for file in sorted((folder / "review").rglob("*.log.jsonl"))
        for line in file.read_text(encoding="utf-8").splitlines()
    ]
    return [line["kind"] for line in lines if "kind" in line]


def test_what_is_done_on_the_page_is_on_the_disk_and_there_again(tmp_path: Path) -> None:
    with chromium() as browser, opened_review(tmp_path) as address:
        context = browser.new_context(viewport={"width": 1280, "height": 800})
        tab = Tab(context.new_page(), address)
        assert tab.page.locator("#measurements tbody tr").count() > 5
        first, film = tab.chosen(), tab.page.locator("body").get_attribute("data-shown")
        tab.keys("Shift+ArrowRight")
        tab.saved()
        tab.keys("Enter", "Enter", "Control+z")
        tab.saved()
        assert logged(tmp_path) == ["place", "confirm", "undo"]
        assert "moved" in tab.text(f"#landmark-{first}")
        again = Tab(context.new_page(), address)
        again.page.locator("#film-list").select_option(film)
        again.page.wait_for_selector(f"body[data-shown='{film}']")
        assert "moved" in again.text(f"#landmark-{first}")
        again.keys("m")
        again.saved()
        assert logged(tmp_path)[-1] == "state"
        assert tab.errors == again.errors == []
