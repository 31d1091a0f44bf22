"""What the review page does when others write, the disk is full, the server dies, or there is much to do."""

import json
import multiprocessing
import os
import random
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from review_page.film_images import FilmImages
from review_page.films import Film, FilmFacts
from tests.support.browser import Tab
from tests.support.review import Served, serve_until_killed, served, write_films

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(("answer", "wins"), [("#keep-theirs", "confirmed"), ("#take-mine", "not visible")])
def test_two_tabs_at_one_landmark_ask_a_person(context: Any, review: Served, answer: str, wins: str) -> None:
    one, other = Tab(context.new_page(), review.address), Tab(context.new_page(), review.address)
    index = one.chosen()
    one.keys("Enter")
    one.saved()
    other.keys("m")
    other.page.wait_for_selector("#conflict:not([hidden])")
    assert review.mark(index, 2)["state"] == "confirmed"
    assert "it is confirmed now. Yours, not visible, is not saved" in other.text("#conflict")
    other.page.locator(answer).click()
    other.saved()
    assert review.mark(index, 2)["state"] == wins
    assert not other.page.locator("#conflict").is_visible()
    one.keys("m")  # at the next landmark, of which nobody knows otherwise: merged
    one.saved()
    assert review.mark(one.chosen(), 2)["state"] == "not visible"
    assert not one.page.locator("#conflict").is_visible()
    assert [case.state.revision for case in review.session.cases][2] == len(review.kinds())
    assert one.errors == other.errors == []


def test_a_full_disk_is_said_in_red_and_nothing_is_lost(
    context: Any, review: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    tab = Tab(context.new_page(), review.address)
    with monkeypatch.context() as full:
        full.setattr("os.fsync", _full)
        tab.keys("Enter", "Enter", "ArrowRight")
        tab.page.wait_for_selector("#trouble:not([hidden])")
        assert "No space left on device" in tab.text("#trouble")
        assert "3 changes are kept in this page" in tab.text("#trouble")
        red = tab.page.locator("#trouble").evaluate("(one) => getComputedStyle(one).backgroundColor")
        assert red == "rgb(164, 22, 26)"
        asked: list[str] = []
        tab.page.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.dismiss()))
        tab.page.close(run_before_unload=True)
        tab.page.wait_for_timeout(300)
        assert asked == ["beforeunload"] and review.kinds() == []
    tab.page.locator("#retry").click()
    tab.saved()
    assert review.kinds() == ["confirm", "confirm", "place"]
    assert not tab.page.locator("#trouble").is_visible() and tab.errors == []


def test_films_that_cannot_be_read_are_named_where_all_are_calibrated(tab: Tab, review: Served) -> None:
    for number in (0, 1):
        review.session.cases[number].film.file.unlink()
    tab.keys("c", "Enter", *["Shift+ArrowRight"] * 3, "Enter")
    tab.page.wait_for_selector("#length-dialog[open]")
    tab.page.locator("#length").fill("12")
    tab.page.locator("#length-all").check()
    tab.page.locator("#length-dialog [value='ok']").click()
    tab.page.wait_for_selector("#told-dialog[open]")
    assert "cannot be read: film0.png, film1.png." in tab.text("#told-text")
    tab.leave("#told-dialog")
    assert review.session.show(2)["spacing_mm"] == pytest.approx([0.4, 0.4])
    assert review.kinds() == ["calibrate"]


def _full(handle: int) -> None:
    raise OSError(28, os.strerror(28))


def test_a_server_killed_twenty_times_loses_nothing_of_the_page(context: Any, tmp_path: Path) -> None:
    """Killed while it writes, started again as before: the page says so, goes on and sends what was left."""
    write_films(tmp_path, 1)
    processes, generator = multiprocessing.get_context("forkserver"), random.Random(0)
    processes.set_forkserver_preload(["tests.support.review"])
    server = _started(processes, tmp_path)
    tab = Tab(context.new_page(), _address(tmp_path))
    for kill in range(20):
        tab.keys(*["Alt+ArrowRight"] * 4)
        time.sleep(generator.uniform(0.0, 0.06))
        os.kill(server.pid or 0, signal.SIGKILL)
        server.join()
        tab.keys("Alt+ArrowRight")
        tab.page.wait_for_selector("#trouble:not([hidden])")
        assert "does not answer" in tab.text("#trouble")
        server = _started(processes, tmp_path)
        tab.page.locator("#retry").click()
        tab.saved()
        assert tab.page.locator("#trouble:visible, #conflict:visible").count() == 0
        moved = json.loads(next((tmp_path / "review/cases").glob("*.json")).read_text())["landmarks"]
        assert moved[tab.chosen()]["moved_px"] == pytest.approx(1.25 * (kill + 1))
    server.kill()
    server.join()
    assert tab.errors == []


def _started(processes: Any, folder: Path) -> Any:
    """A server that listens, on the port and with the token of the one before."""
    before = _kept(folder)
    server = processes.Process(target=serve_until_killed, args=(folder,))
    server.start()
    end = time.monotonic() + 60
    while _kept(folder) == before and time.monotonic() < end:
        time.sleep(0.02)
    return server


def _kept(folder: Path) -> tuple[str, int]:
    """What review.py says of itself in its folder, and when it was written."""
    file = folder / "review/server.json"
    return (file.read_text(), file.stat().st_mtime_ns) if file.exists() else ("", 0)


def _address(folder: Path) -> str:
    kept = json.loads(_kept(folder)[0])
    return f"http://127.0.0.1:{kept['port']}/#{kept['token']}"


def test_after_a_reload_the_address_is_needed_and_all_is_there(context: Any, review: Served) -> None:
    tab = Tab(context.new_page(), review.address)
    index = tab.chosen()
    tab.keys("ArrowRight")
    tab.saved()
    tab.page.reload()
    tab.page.wait_for_selector("#trouble:not([hidden])")
    assert "Open the address that review.py printed, in this tab" in tab.text("#trouble")
    tab.page.goto(review.address)
    tab.page.wait_for_selector("body[data-shown='2']")
    assert "moved" in tab.text(f"#landmark-{index}")
    tab.keys("Control+z")
    tab.saved()
    assert review.mark(index, 2)["state"] == "predicted"


def test_of_two_hundred_films_only_the_shown_and_their_neighbours_are_read(
    context: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_films(tmp_path, 200)
    read: list[str] = []
    facts = FilmImages.facts

    def noted(images: FilmImages, film: Film) -> FilmFacts:
        read.append(film.name)
        return facts(images, film)

    monkeypatch.setattr(FilmImages, "facts", noted)
    with served(tmp_path) as review:
        assert len(review.session.listed()) == 200 and read == []
        tab = Tab(context.new_page(), review.address)
        assert tab.page.locator("#film-list option").count() == 200
        for _ in range(5):
            shown = tab.page.locator("body").get_attribute("data-shown")
            tab.keys("PageDown")
            tab.page.wait_for_selector(f"body[data-shown]:not([data-shown='{shown}'])")
        assert 6 <= len(set(read)) <= 8
        assert tab.foreign() == [] and tab.errors == []


def test_a_blind_reading_shows_no_prediction_and_counts(context: Any, tmp_path: Path) -> None:
    with served(tmp_path, blind=True) as review:
        tab = Tab(context.new_page(), review.address)
        assert tab.page.locator(".mark, #rings circle").count() == 0
        assert tab.page.locator("#film-order").is_disabled()
        assert "0 of 3 read" in tab.text("#position")
        tab.keys("p")
        box = tab.page.locator("#film").bounding_box()
        tab.page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        tab.saved()
        assert tab.page.locator(".mark").count() == 1 and review.kinds() == ["place"]
        tab.keys(*["n", "m"] * 18, "Enter")
        tab.page.wait_for_selector("body[data-shown='1']")
        assert "1 of 3 read" in tab.text("#position")
        assert tab.errors == []
