"""A review server in memory, for tests of the page alone: the same addresses and answers, nothing on a disk.

It measures one angle and knows one kind of conflict: a landmark that was changed after the base revision.
"""

import copy
import math
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from datasets.phantoms.phantom import Phantom

STATIC = Path(__file__).resolve().parents[2] / "review_page" / "static"
TOKEN = "a-token-of-a-test"
ANGLE = (0, 1, 4)  # of the landmark set: sella, nasion, subspinale
_CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class FakeReview:
    """Films of a phantom. ``status`` is what a PUT is answered with; 200 takes it."""

    def __init__(self, count: int = 3, *, height: int = 480, blind: bool = False, num_measured: int = 1):
        self.status, self.blind, self.num_measured = 200, blind, num_measured
        self.events: list[Mapping[str, Any]] = []
        self.exported: list[str] = []
        self.num_measure_requests = 0
        self.progress: dict[str, Any] = {"task": None, "done": 0, "of": 0, "message": ""}
        phantom = Phantom(height, 0, 0.0)
        self.landmark_set = phantom.landmark_set
        made = [phantom.case(number) for number in range(min(count, 3))]
        self.pictures = [cv2.imencode(".png", case.image)[1].tobytes() for case in made]
        self.cases = [self._case(number, made[number % len(made)]) for number in range(count)]
        self.cases[-1]["plausible"] = False  # and so looked at first
        self.undone: dict[int, list[Any]] = {}
        self.before: dict[int, list[Any]] = {}
        self.changed: dict[tuple[int, Any], int] = {}

    def _case(self, number: int, made: Any) -> dict[str, Any]:
        landmarks = []
        for index, (x, y) in enumerate((made.points - 0.5).tolist()):
            place = {"x": x, "y": y}
            shown = {"x": None, "y": None} if self.blind else place
            mark = {"index": index, **shown, "predicted": None if self.blind else place}
            mark |= {"u_px": None if self.blind else 2.0 + index % 4, "u_mm": None if self.blind else 1.0}
            why = f"decides SNA ({60 - index} %)" if index in ANGLE and not self.blind else ""
            landmarks.append(mark | {"state": "predicted", "note": "", "reader": "", "why": why})
        height, width = made.image.shape
        shape = {"id": number, "revision": 0, "width": width, "height": height}
        scale = {"spacing_mm": [0.5, 0.5], "spacing_source": "--spacing"}
        state = {"state": "open", "flagged": False, "flag_note": "", "history": [], "plausible": True}
        return {**shape, "name": f"film{number:03d}.png", **scale, **state, "landmarks": landmarks}

    def show(self, number: int) -> dict[str, Any]:
        """A whole case, as GET and PUT answer."""
        case = self.cases[number]
        indices = list(range(len(case["landmarks"])))
        doubtful = sorted(indices, key=lambda index: -(case["landmarks"][index]["u_px"] or 0))
        effect = [*ANGLE, *(index for index in indices if index not in ANGLE)]
        points = [None if mark["x"] is None else (mark["x"], mark["y"]) for mark in case["landmarks"]]
        banner = [] if case["plausible"] else ["These landmarks may be of no such X-ray: they are far apart."]
        return copy.deepcopy(case) | {
            "orders": {"effect": effect, "uncertainty": doubtful, "anatomical": indices},
            "can_undo": bool(self.before.get(number)),
            "can_redo": bool(self.undone.get(number)),
            "banner": banner,
            "measurements": self.measurements(points),
        }

    def line(self, number: int) -> dict[str, Any]:
        case = self.cases[number]
        states = [mark["state"] for mark in case["landmarks"]]
        kept = {key: case[key] for key in ("id", "name", "state", "flagged", "plausible")}
        reason = None if case["plausible"] else "they are far apart"
        counts = {"unsure": states.count("unsure"), "unsettled": states.count("predicted")}
        return kept | counts | {"plausible_reason": reason, "predicted": True, "doubt": 1.0, "risk": number}

    def measurements(self, points: list[Any]) -> list[dict[str, Any]]:
        one, corner, other = (points[index] for index in ANGLE)
        value = None
        if None not in (one, corner, other):
            first = math.atan2(one[1] - corner[1], one[0] - corner[0])
            value = abs(math.degrees(first - math.atan2(other[1] - corner[1], other[0] - corner[0])))
            value = min(value, 360 - value)
        row = {"code": "SNA", "name": "Position of the maxilla", "unit": "deg", "value": value, "sd": 1.5}
        row |= {"low": None, "high": None} if value is None else {"low": value - 3, "high": value + 3}
        row["norm"] = {"mean": 82.0, "sd": 3.5, "population": "phantoms", "verified": False}
        row["classes"] = [{"name": "Class I", "probability": 0.61}, {"name": "Class II", "probability": 0.39}]
        row["drivers"] = [{"index": index, "share": 1 / 3} for index in ANGLE]
        return [row | {"flags": ["norm-unverified"]} for _ in range(self.num_measured)]

    def put(self, number: int, base: int, event: Mapping[str, Any]) -> Response:
        if self.status != 200:
            return JSONResponse({"error": "The disk is full."}, self.status)
        target = number, event.get("index", event["kind"])
        if self.changed.get(target, 0) > base:
            return JSONResponse({"error": "changed in the meantime", "case": self.show(number)}, 409)
        self.events.append(event)
        case = self.cases[number]
        revision = case["revision"] + 1
        if event["kind"] in ("undo", "redo"):
            source, back = (
                (self.before, self.undone) if event["kind"] == "undo" else (self.undone, self.before)
            )
            back.setdefault(number, []).append(copy.deepcopy(case))
            history = case["history"]
            self.cases[number] = source[number].pop() | {"history": history}
        else:
            self.before.setdefault(number, []).append(copy.deepcopy(case))
            self.undone[number] = []
            _apply(case, event)
        self.changed[target] = revision
        self.cases[number]["revision"] = revision
        entry = {"seq": revision, "time": "2026-01-02T03:04:05Z", "reader": "AB", "text": event["kind"]}
        self.cases[number]["history"] = [entry, *self.cases[number]["history"]]
        return JSONResponse(self.show(number))

    def about(self) -> dict[str, Any]:
        names = self.landmark_set
        return {
            "reader": "AB",
            "blind": self.blind,
            "analysis": "one angle",
            "analyses": ["one angle"],
            "landmark_set": {
                "name": names.name,
                "note": "",
                "landmarks": list(names.landmarks),
                "abbreviations": list(names.abbreviations),
                "hints": {names.landmarks[0]: "the middle of the pituitary fossa"},
            },
            "lines": [[ANGLE[0], ANGLE[1]], [ANGLE[1], ANGLE[2]]],
            "mask_names": False,
            "num_cases": len(self.cases),
            "predicting": None,
            "can_adapt": True,
            "can_sr": False,
        }

    def export(self, kind: str) -> dict[str, Any]:
        self.exported.append(kind)
        return {"files": [f"exports/landmarks.{kind}"], "notes": ["1 film is open still."]}

    def adapt(self) -> dict[str, Any]:
        self.progress = {"task": "adapting", "done": 0, "of": 2, "message": ""}
        return self.progress

    def watched(self) -> dict[str, Any]:
        """What GET /api/progress says; each time it is asked, one film more is done."""
        said = dict(self.progress)
        if self.progress["task"]:
            self.progress["done"] += 1
            if self.progress["done"] > self.progress["of"]:
                self.progress |= {"task": None, "message": "There is 12 % less to correct."}
        return said


def _apply(case: dict[str, Any], event: Mapping[str, Any]) -> None:
    kind = event["kind"]
    if kind == "calibrate":
        side = event["mm"] / math.dist(event["one"], event["two"])
        case |= {"spacing_mm": [side, side], "spacing_source": "ruler"}
    elif kind == "flag":
        case |= {"flagged": event["flagged"], "flag_note": event["note"]}
    elif kind == "image":
        case["state"] = event["state"]
    else:
        mark = case["landmarks"][event["index"]]
        nowhere, predicted = {"x": None, "y": None}, mark["predicted"] or {"x": None, "y": None}
        new = {
            "place": lambda: {"x": event["x"], "y": event["y"], "state": "moved"},
            "confirm": lambda: {"state": "confirmed"},
            "reset": lambda: predicted | {"state": "predicted", "note": ""},
            "state": lambda: (
                {"state": event["state"], "note": event["note"]}
                | (nowhere if event["state"] == "not visible" else {})
            ),
        }[kind]()
        mark |= new | {"reader": "AB"}


def _app(fake: FakeReview) -> Starlette:
    def guarded(answer: Any) -> Any:
        async def asked(request: Request) -> Response:
            if request.headers.get("x-review-token") != TOKEN:
                return JSONResponse({"error": "The token is missing or wrong."}, 403)
            body = await request.json() if request.method in ("PUT", "POST") else {}
            said = answer(request, body)
            return said if isinstance(said, Response) else JSONResponse(said)

        return asked

    def number(request: Request) -> int:
        return request.path_params["number"]

    def picture(request: Request, body: Any) -> Response:
        return Response(fake.pictures[number(request) % len(fake.pictures)], media_type="image/png")

    def measure(request: Request, body: Any) -> dict[str, Any]:
        fake.num_measure_requests += 1
        return {"measurements": fake.measurements(body["points"])}

    async def static(request: Request) -> Response:
        file = STATIC / request.path_params.get("name", "index.html")
        return FileResponse(file, headers={"content-security-policy": _CSP, "cache-control": "no-store"})

    routes = [
        ("/api/session", ["GET"], lambda request, body: fake.about()),
        ("/api/cases", ["GET"], lambda request, body: [fake.line(case["id"]) for case in fake.cases]),
        ("/api/case/{number:int}", ["GET"], lambda request, body: fake.show(number(request))),
        (
            "/api/case/{number:int}",
            ["PUT"],
            lambda request, body: fake.put(number(request), body["base"], body["event"]),
        ),
        ("/api/measure", ["POST"], measure),
        ("/api/image/{number:int}", ["GET"], picture),
        ("/api/export/{kind}", ["POST"], lambda request, body: fake.export(request.path_params["kind"])),
        ("/api/adapt", ["POST"], lambda request, body: fake.adapt()),
        ("/api/progress", ["GET"], lambda request, body: fake.watched()),
    ]
    data = [Route(path, guarded(answer), methods=methods) for path, methods, answer in routes]
    return Starlette(routes=[Route("/", static), Route("/static/{name}", static), *data])


@contextmanager
def served(fake: FakeReview, port: int = 0) -> Iterator[str]:
    """The page's address while the block runs; the server is gone after it."""
    server = uvicorn.Server(uvicorn.Config(_app(fake), port=port, log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        thread.join(0.01)
        if not thread.is_alive():
            raise RuntimeError("the server of the test did not start")
    try:
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}/#{TOKEN}"
    finally:
        server.should_exit = server.force_exit = True
        thread.join()
