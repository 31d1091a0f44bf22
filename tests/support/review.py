"""A review of small films, with predictions, for tests."""

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import uvicorn
from starlette.testclient import TestClient

from datasets.landmarks.landmark_set import load_landmark_set
from measurements.analysis import load_analysis
from measurements.norm import Patient
from measurements.shapes import shipped_shapes
from review_page.app import make_app
from review_page.job_list import make_jobs
from review_page.jobs import Jobs
from review_page.server import address, bound_socket, listening, serve
from review_page.session import Session
from review_page.start import Wanted, open_session
from util.prediction.landmarks.measuring import Measurer

TOKEN = "the-token"
WIDTH, HEIGHT = 240, 300
LANDMARKS = load_landmark_set("isbi19")
_PATIENT = Patient(age=None, sex=None, population=None)


def face(shift: float = 0.0) -> np.ndarray:
    """(19, 2) index pixels of a head that can be measured."""
    return shipped_shapes().reference * 60.0 + [120.0 + shift, 150.0]


def make_films(folder: Path, count: int = 3) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        noise = np.random.default_rng(number).integers(0, 255, (HEIGHT, WIDTH), dtype=np.uint8)
        cv2.imwrite(str(folder / f"film{number}.png"), noise)
    return folder


def write_films(folder: Path, count: int) -> None:
    """Films and predictions for ``wanted``; the last film is implausible."""
    films = make_films(folder / "films", count)
    images = [record(image, number) for number, image in enumerate(sorted(films.glob("*.png")))]
    images[-1] |= {"plausible": False, "plausible_reason": "they are far apart"}
    write_predictions(films, folder / "landmarks.json", images=images)


def write_predictions(folder: Path, file: Path, **changes: Any) -> Path:
    """What inference.py would have found on the films of ``folder``."""
    images = [record(image, number) for number, image in enumerate(sorted(folder.glob("*.png")))]
    model = {"checkpoint": "model.pt", "landmark_set": "isbi19", "labels": "test"}
    content = {"model": model, "left_out": {}, "images": images, "failed": []} | changes
    file.write_text(json.dumps(content))
    return file


def record(image: Path, number: int) -> dict[str, Any]:
    rows = [
        {"index": k + 1, "name": name, "x": x, "y": y, "x_mm": x, "y_mm": y}
        | {"uncertainty_px": 1.0 + k / 10, "uncertainty_mm": 1.0 + k / 10}
        for k, (name, (x, y)) in enumerate(zip(LANDMARKS.landmarks, face(number).tolist(), strict=True))
    ]
    return {
        "file": str(image),
        "slice": None,
        "width": WIDTH,
        "height": HEIGHT,
        "spacing_mm": [1.0, 1.0],
        "spacing_source": "--spacing",
        "pose": "as-is",
        "plausible": True,
        "plausible_reason": None,
        "landmarks": rows,
    }


def wanted(folder: Path, **changes: Any) -> Wanted:
    """A review of three films in ``folder``, which are made where they are not there."""
    films = folder / "films"
    if not films.exists():
        make_films(films)
    predictions = folder / "landmarks.json"
    if not predictions.exists():
        write_predictions(films, predictions)
    plain = Wanted([films], folder / "review", checkpoint=None, predictions=predictions, reader="AB")
    return replace(plain, **changes)


def measurer(_set: Any, _model: Mapping[str, Any]) -> Measurer:
    return Measurer(LANDMARKS, [load_analysis("isbi2015")], _PATIENT, shipped_shapes())


@contextmanager
def reviewed(folder: Path, **changes: Any) -> Iterator["Page"]:
    asked = wanted(folder, **changes)
    with open_session(asked, measurer) as opened:
        jobs = make_jobs(opened, asked)
        app = make_app(opened.session, jobs, TOKEN)
        client = TestClient(app, base_url="http://127.0.0.1:8000", headers={"X-Review-Token": TOKEN})
        yield Page(client, jobs)


class Page:
    """What a browser would ask for."""

    def __init__(self, client: TestClient, jobs: Jobs) -> None:
        self.client, self.jobs = client, jobs

    def case(self, number: int = 0) -> dict[str, Any]:
        answer = self.client.get(f"/api/case/{number}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    def put(self, event: Mapping[str, Any], *, number: int = 0, base: int | None = None) -> Any:
        base = self.case(number)["revision"] if base is None else base
        return self.client.put(f"/api/case/{number}", json={"base": base, "event": event})

    def done(self, event: Mapping[str, Any], *, number: int = 0) -> dict[str, Any]:
        """The case after an event that must be taken."""
        answer = self.put(event, number=number)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def review(self, number: int = 0, *, moved: float = 0.0) -> dict[str, Any]:
        """Settle every landmark, ``moved`` pixels to the right of its prediction, and mark the film."""
        for row in self.case(number)["landmarks"]:
            if row["x"] is None:
                continue
            event = {"kind": "place", "index": row["index"], "x": row["x"] + moved, "y": row["y"]}
            self.done(event if moved else {"kind": "confirm", "index": row["index"]}, number=number)
        return self.done({"kind": "image", "state": "reviewed"}, number=number)


@dataclass
class Served:
    """A review that a browser can open; its films and logs may be looked at meanwhile."""

    address: str
    session: Session
    jobs: Jobs

    def mark(self, index: int, number: int = 0) -> dict[str, Any]:
        """A landmark as the server has it."""
        return self.session.show(number)["landmarks"][index]

    def order(self, number: int = 0) -> list[int]:
        """Landmarks by their effect on the analysis."""
        return self.session.show(number)["orders"]["effect"]

    def logged(self) -> list[dict[str, Any]]:
        """The records of all logs, film after film."""
        files = sorted(self.session.folder.cases.glob("*.log.jsonl"))
        return [json.loads(line) for file in files for line in file.read_text().splitlines()[1:]]

    def kinds(self) -> list[str]:
        return [record["kind"] for record in self.logged()]


@contextmanager
def served(folder: Path, **changes: Any) -> Iterator[Served]:
    """The whole server in a thread, on a port of its own."""
    asked = wanted(folder, **changes)
    with open_session(asked, measurer) as opened, bound_socket(0) as found:
        jobs = make_jobs(opened, asked)
        app = make_app(opened.session, jobs, TOKEN)
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [found]}, daemon=True)
        thread.start()
        try:
            yield Served(address(found, TOKEN), opened.session, jobs)
        finally:
            server.should_exit = server.force_exit = True
            thread.join()


def serve_until_killed(folder: Path) -> None:
    """What review.py does, without its arguments."""
    asked = wanted(folder)
    with (
        open_session(asked, measurer) as opened,
        listening(opened.session.folder.address, 0) as (found, token),
    ):
        serve(make_app(opened.session, make_jobs(opened, asked), token), found)
