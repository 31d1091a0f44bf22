"""The addresses that the page asks for; what they mean is the session's business."""

import json
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from measurements.analysis import shipped_analyses
from review_page import fields
from review_page.errors import ConflictError, RefusedError
from review_page.guard import BodyTooLargeError, Guard
from review_page.jobs import Jobs
from review_page.session import Session
from util.files import WriteError

STATIC = Path(__file__).parent / "static"
_KINDS = {
    ".html": "text/html",
    ".js": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
    ".json": "application/json",
}
_REVISIONS = 10**9
Handler = Callable[[Request], Awaitable[Response]]


class ReviewApp:
    """The handlers of one session."""

    def __init__(self, session: Session, jobs: Jobs) -> None:
        self._session, self._jobs = session, jobs
        self._static = {
            file.relative_to(STATIC).as_posix(): file
            for file in sorted(STATIC.rglob("*"))
            if file.suffix in _KINDS and file.is_file() and not file.is_symlink()
        }  # names are looked up here, so none can lead elsewhere

    def routes(self) -> list[Route]:
        return [
            Route("/", self.page),
            Route("/static/{name:path}", self.static),
            Route("/api/session", self._answered(self.session)),
            Route("/api/cases", self._answered(self.cases)),
            Route("/api/case/{number:int}", self._answered(self.case)),
            Route("/api/case/{number:int}", self._answered(self.put), methods=["PUT"]),
            Route("/api/measure", self._answered(self.measure), methods=["POST"]),
            Route("/api/image/{number:int}", self._answered(self.image)),
            Route("/api/export/{kind}", self._answered(self.export), methods=["POST"]),
            Route("/api/adapt", self._answered(self.adapt), methods=["POST"]),
            Route("/api/progress", self._answered(self.progress)),
        ]

    async def page(self, request: Request) -> Response:
        return self._file("index.html")

    async def static(self, request: Request) -> Response:
        return self._file(request.path_params["name"])

    async def session(self, request: Request) -> Response:
        return JSONResponse(await run_in_threadpool(self._about))

    async def cases(self, request: Request) -> Response:
        return JSONResponse(await run_in_threadpool(self._session.listed))

    async def case(self, request: Request) -> Response:
        return JSONResponse(await run_in_threadpool(self._session.show, self._number(request)))

    async def put(self, request: Request) -> Response:
        number, body = self._number(request), await _body(request)
        base = fields.whole(body, "base", _REVISIONS)
        try:
            shown = await run_in_threadpool(self._session.put, number, base, body.get("event"))
        except ConflictError as error:
            return JSONResponse(await run_in_threadpool(self._session.conflict, number, error), error.status)
        return JSONResponse(shown)

    async def measure(self, request: Request) -> Response:
        body = await _body(request)
        number = fields.whole(body, "id", len(self._session.cases))
        points = await run_in_threadpool(self._points, number, body.get("points"))
        rows = await run_in_threadpool(self._session.measure, number, points)
        return JSONResponse({"measurements": rows})

    async def image(self, request: Request) -> Response:
        view = fields.one_of(
            {"view": request.query_params.get("view", "display")}, "view", ("display", "model")
        )
        film, images = self._session.cases[self._number(request)].film, self._session.images
        content = await run_in_threadpool(images.display if view == "display" else images.model, film)
        return Response(content, media_type="image/png")

    async def export(self, request: Request) -> Response:
        kind = request.path_params["kind"]
        return JSONResponse(await run_in_threadpool(self._jobs.export, kind))

    async def adapt(self, request: Request) -> Response:
        await run_in_threadpool(self._jobs.adapt)
        return await self.progress(request)

    async def progress(self, request: Request) -> Response:
        said = self._jobs.progress.to_dict()
        return JSONResponse(said | {"message": self._session.masked(said["message"])})

    def _answered(self, handler: Handler) -> Handler:
        """Whatever is refused becomes a status and a sentence."""

        async def answered(request: Request) -> Response:
            try:
                return await handler(request)
            except RefusedError as error:
                return self._refused(error.status, error)
            except WriteError as error:
                return self._refused(507, error)
            except BodyTooLargeError:
                return self._refused(413, "The request is too large.")

        return answered

    def _refused(self, status: int, sentence: object) -> Response:
        return JSONResponse({"error": self._session.masked(str(sentence))}, status)

    def _about(self) -> dict[str, Any]:
        session, progress = self._session, self._jobs.progress
        measurer = session.measurer.measurer
        landmark_set = session.landmark_set
        return {
            "reader": session.settings.reader,
            "blind": session.study is not None,
            "analysis": None if measurer is None else measurer.analyses[0].name,
            "analyses": shipped_analyses(),
            "landmark_set": {
                "name": landmark_set.name,
                "note": landmark_set.note,
                "landmarks": list(landmark_set.landmarks),
                "abbreviations": list(landmark_set.abbreviations),
                "hints": self._jobs.hints,
            },
            "lines": session.measurer.lines(),
            "mask_names": session.settings.mask_names,
            "num_cases": len(session.cases),
            "predicting": {"done": progress.done, "of": progress.of}
            if progress.task == "predicting"
            else None,
            "can_adapt": self._jobs.can_adapt,
            "can_sr": self._jobs.can_sr,
            "notes": session.notes(),
        }

    def _number(self, request: Request) -> int:
        number = request.path_params["number"]
        if number >= len(self._session.cases):
            raise RefusedError(404, f"There is no film {number} in this review.")
        return number

    def _points(self, number: int, points: Any) -> list[tuple[float, float] | None]:
        count, facts = len(self._session.landmark_set), self._session.opened(number).facts
        assert facts is not None
        if not isinstance(points, list) or len(points) != count:
            raise RefusedError(400, f"points: expected a list of {count}, [x, y] or null each.")
        size = facts.width, facts.height
        return [None if point is None else fields.point(point, "points", size) for point in points]

    def _file(self, name: str) -> Response:
        if name not in self._static:
            return JSONResponse({"error": "There is no such file."}, 404)
        file = self._static[name]
        return Response(file.read_bytes(), media_type=_KINDS[file.suffix])


def make_app(session: Session, jobs: Jobs, token: str) -> Starlette:
    """The whole application, guarded."""
    handlers: Mapping[Any, Any] = {HTTPException: _http_error, Exception: _our_fault}
    return Starlette(
        routes=ReviewApp(session, jobs).routes(),
        middleware=[Middleware(Guard, token=token)],
        exception_handlers=handlers,
    )


async def _body(request: Request) -> dict[str, Any]:
    try:
        body = json.loads(await request.body(), parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise RefusedError(400, "The request is not valid JSON.") from error
    if not isinstance(body, dict):
        raise RefusedError(400, "The request is no JSON object.")
    return body


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")


async def _http_error(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    sentence = {404: "There is nothing at this address.", 405: "This cannot be done at this address."}
    return JSONResponse({"error": sentence.get(status, "The request cannot be answered.")}, status)


async def _our_fault(request: Request, error: Exception) -> Response:
    return JSONResponse({"error": "Something went wrong in review.py; its window says what."}, 500)
