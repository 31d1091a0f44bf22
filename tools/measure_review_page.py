"""What the review page costs: to the first film, to the next one, to save a change, a frame while panning.

    python inference.py --checkpoint weights/cephdetr19.safetensors --input film.png --spacing 0.1 \\
        --output one.json
    python tools/measure_review_page.py --predictions one.json --films 500

The first film of the predictions is linked so many times, its landmarks moved a little each time. Chromium
opens the page of `review.py`. Processor time of server and browser is said beside seconds of the clock, since
these also hold what else the machine does. Needs requirements-dev.txt and Chromium.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
FRAMES = 180
PAGES = 10  # films after the first one
PAN = """(frames) => new Promise((done) => {
  const film = document.getElementById("film");
  film.setPointerCapture = () => {};
  const { x, y } = film.getBoundingClientRect();
  const fire = (kind, dx, dy) => {
    const place = { clientX: x + 300 + dx, clientY: y + 300 + dy, bubbles: true };
    const hand = { pointerId: 1, pointerType: "mouse", button: kind === "pointerdown" ? 1 : -1, buttons: 4 };
    film.dispatchEvent(new PointerEvent(kind, { ...place, ...hand }));
  };
  fire("pointerdown", 0, 0);
  let frame = 0;
  const next = () => {
    fire("pointermove", 100 * Math.sin(frame / 10), 60 * Math.cos(frame / 13));
    if (++frame < frames) return requestAnimationFrame(next);
    fire("pointerup", 0, 0);
    done();
  };
  requestAnimationFrame(next);
})"""


def main() -> None:
    args = parse_args()
    with tempfile.TemporaryDirectory() as folder, serving(args, Path(folder)) as (url, server):
        measured(url, server)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--predictions", type=Path, required=True, help="file of inference.py")
    parser.add_argument("--films", type=int, default=200, help=f"how many, at least {PAGES + 1} (200)")
    parser.add_argument("--analysis", default="isbi2015", help="what is measured (isbi2015)")
    args = parser.parse_args()
    if args.films <= PAGES:
        raise ValueError(
            f"--films {args.films}: expected at least {PAGES + 1}, of which {PAGES} are paged through."
        )
    return args


def make_films(predictions: Path, count: int, folder: Path) -> list[str]:
    """Links of one film and a file of predictions; the options of review.py for them."""
    import numpy as np

    content = json.loads(predictions.read_text(encoding="utf-8"))
    first, generator = content["images"][0], np.random.default_rng(0)
    films, file = folder / "films", folder / "landmarks.json"
    films.mkdir()
    content["images"] = []
    for number in range(count):
        film = films / f"film{number:04d}{Path(first['file']).suffix}"
        film.symlink_to(Path(first["file"]).resolve())
        image = json.loads(json.dumps(first)) | {"file": str(film), "plausible": True}
        for row in image["landmarks"]:
            row["x"], row["y"] = row["x"] + generator.normal(0, 5), row["y"] + generator.normal(0, 5)
        content["images"].append(image)
    file.write_text(json.dumps(content))
    return ["--input", str(films), "--predictions", str(file), "--review", str(folder / "review")]


@contextmanager
def serving(args: argparse.Namespace, folder: Path) -> Iterator[tuple[str, Any]]:
    """The address of a review, and its process."""
    import psutil

    command = [sys.executable, str(ROOT / "review.py"), "--no-browser", "--analysis", args.analysis]
    command += make_films(args.predictions.absolute(), args.films, folder)
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        url = next((line.strip() for line in process.stdout if line.startswith("http")), None)
        if url is None:
            raise ValueError("review.py did not start; it has said why above.")
        server = psutil.Process(process.pid)
        print(f"start of review.py: {spent([server]):.2f} s of processor time")
        yield url, server
    finally:
        process.terminate()
        process.wait()


def measured(url: str, server: Any) -> None:
    """Print what each step in the page takes."""
    from playwright.sync_api import sync_playwright

    if CHROMIUM is None:
        raise ValueError("no Chromium: make browser, or CHROMIUM=/path/to/it.")
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.set_default_timeout(120_000)
        page.goto(url.split("#")[0] + "static/icon.svg")  # the browser itself has begun
        with telling("address to first film", server, page):
            page.goto(url)
            page.wait_for_selector("body[data-shown]")
        with telling("next film", server, page, count=PAGES):
            for _ in range(PAGES):
                shown = page.get_attribute("body", "data-shown")
                page.keyboard.press("PageDown")
                page.wait_for_selector(f"body[data-shown]:not([data-shown='{shown}'])")
        with telling("a key until saved", server, page, count=40):
            for number in range(40):
                page.keyboard.press("ArrowLeft" if number % 2 else "ArrowRight")
                page.wait_for_selector("body[data-unsaved='0']")
        for name, keys in (("the whole film", "0"), ("zoomed, inverted, more contrast", "+++i]")):
            for key in keys:
                page.keyboard.press(key)
            with telling(f"a frame while panning, {name}", server, page, count=FRAMES):
                page.evaluate(PAN, FRAMES)
        print(f"memory of the server: {server.memory_info().rss / 2**20:.0f} MB")
        browser.close()


@contextmanager
def telling(what: str, server: Any, page: Any, count: int = 1) -> Iterator[None]:
    """Print what the block takes, divided by ``count``."""
    page.wait_for_timeout(1500)  # until what went before has ended
    before, clock = (spent([server]), spent(browsers())), time.monotonic()
    yield
    wall = 1000 * (time.monotonic() - clock) / count
    ours, theirs = (
        1000 * (now - then) / count
        for now, then in zip((spent([server]), spent(browsers())), before, strict=True)
    )
    print(
        f"{what}: server {ours:.1f} + browser {theirs:.1f} ms of processor time, {wall:.0f} ms by the clock"
    )


def browsers() -> list[Any]:
    """Chromium's processes."""
    import psutil

    return [one for one in psutil.Process().children(recursive=True) if "chrom" in one.name()]


def spent(processes: list[Any]) -> float:
    """Processor time in seconds; a process that has just ended counts no more."""
    import psutil

    total = 0.0
    for one in processes:
        try:
            total += sum(one.cpu_times()[:2])
        except psutil.NoSuchProcess:
            continue
    return total


if __name__ == "__main__":
    try:
        main()
    except ValueError as error:
        sys.exit(f"measure_review_page.py: {error}")
