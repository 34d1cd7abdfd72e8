"""The routes of the web page: its files, the interface for programs, and how errors are told."""

from __future__ import annotations

import time
from importlib.resources import files

from flask import Blueprint, Response, abort, current_app, jsonify, request
from werkzeug.exceptions import HTTPException, ServiceUnavailable

from lle_utils.serving.limits import SECURITY_HEADERS
from lle_utils.serving.openapi import openapi_document
from lle_utils.serving.request_checks import read_photo, read_query
from lle_utils.serving.service import Service
from lle_utils.serving.worker import BusyError, CancelledError, CrashError, Job, TooSlowError

routes = Blueprint("lle", __name__)


def _service() -> Service:
    return current_app.extensions["lle"]


# The files of the page


@routes.get("/")
def page() -> Response:
    return _static("page.html", "text/html")


@routes.get("/page.css")
def style() -> Response:
    return _static("page.css", "text/css")


@routes.get("/page.js")
def script() -> Response:
    return _static("page.js", "text/javascript")


def _static(name: str, kind: str) -> Response:
    content = (files("lle_utils.serving") / "static" / name).read_bytes()
    return Response(content, content_type=f"{kind}; charset=utf-8")


# The interface for programs


@routes.get("/health")
def health() -> tuple[Response, int]:
    alive = _service().worker.alive
    return jsonify(status="ok" if alive else "down"), 200 if alive else 503


@routes.get("/metrics")
def metrics() -> Response:
    text = _service().counters.text(_service().worker)
    return Response(text, content_type="text/plain; version=0.0.4; charset=utf-8")


@routes.get("/openapi.json")
def document() -> Response:
    return jsonify(openapi_document(_service().limits, _service().methods))


@routes.get("/api/methods")
def methods() -> Response:
    return jsonify(methods=_service().methods, limits=vars(_service().limits))


@routes.post("/api/check")
def check() -> tuple[str, int]:
    """Say whether a photo will be taken, in the words in which it would be refused later."""
    service = _service()
    _run(service, Job(read_photo(service.limits), None, None, "jpeg"))
    return "", 204


@routes.post("/api/enhance")
def enhance() -> Response:
    service = _service()
    query = read_query(service.methods)
    job = Job(read_photo(service.limits), query.method, query.level, query.format)
    started = time.monotonic()
    result = _run(service, job)
    taken = time.monotonic() - started
    service.counters.add_photo(taken)
    response = Response(result, mimetype=f"image/{query.format}")
    response.headers["Server-Timing"] = f"enhance;dur={1000 * taken:.0f}"
    return response


def _run(service: Service, job: Job) -> bytes:
    """Enhance a photo; say in HTTP what went wrong."""
    try:
        left = request.environ.get("waitress.client_disconnected", lambda: False)
        return service.worker.run(job, left)
    except ValueError as error:
        abort(422, str(error))
    except TooSlowError:
        seconds = service.limits.seconds
        what = job.method or "its decoder"
        abort(504, f"This photo takes {what} more than {seconds:g} s. Reduce it.")
    except BusyError:
        message = "Busy: too many photos are waiting. Try again."
    except CancelledError:
        message = "Nobody waits for this photo any more."
    except CrashError:
        message = f"{job.method or 'The decoder'} broke off; a smaller photo may succeed."
    raise ServiceUnavailable(message, retry_after=service.worker.retry_seconds)


# What all answers have in common


@routes.after_app_request
def finish(response: Response) -> Response:
    response.headers.update(SECURITY_HEADERS)
    if request.path == "/api/enhance":
        _service().counters.add_answer(response.status_code)
    return response


@routes.app_errorhandler(HTTPException)
def refuse(error: HTTPException) -> Response:
    response = _error(error.code, error.description)
    for name, value in error.get_headers():
        if name != "Content-Type":
            response.headers[name] = value  # Allow of a 405, Retry-After of a 503
    return response


@routes.app_errorhandler(Exception)
def fail(error: Exception) -> Response:
    current_app.logger.error("request failed", exc_info=error)
    return _error(500, "Something went wrong here; the log of the server says what.")


def _error(code: int, message: str) -> Response:
    response = jsonify(error=message)
    response.status_code = code
    return response
