"""The web page of ``lle serve``: a photo in, a brighter photo out, nothing kept.

Flask answers, waitress serves, and a process of its own (`lle_utils.workers`) works on the
photos. Uploads stay in memory; neither they nor their names are written or logged.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from dataclasses import dataclass
from importlib.resources import files
from io import BytesIO

from flask import Flask, Response, abort, jsonify, request
from PIL import Image
from werkzeug.exceptions import HTTPException

from lle_utils import __version__
from lle_utils.baselines import BASELINES
from lle_utils.files import data_dir
from lle_utils.inference import list_enhancers, load_card
from lle_utils.workers import BusyError, CrashError, Job, TooSlowError, Worker

FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP")  # what Pillow may try; the rest is refused
KINDS = ("jpeg", "png", "webp")  # to answer in
DEFAULT = "zero_dce_pp"
TOP_LEVEL = 2.0
CONNECTIONS = 64  # each may hold an upload in memory
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' blob: data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


@dataclass(frozen=True)
class Limits:
    """What the server takes on.

    Attributes:
        megabytes: Largest upload, in 10⁶ bytes.
        megapixels: Largest photo, in 10⁶ pixels.
        seconds: Longest time for one photo.
        waiting: Photos that may wait while one is worked on; more are told to come back.
    """

    megabytes: float = 25
    megapixels: float = 24
    seconds: float = 60
    waiting: int = 8


def methods() -> list[dict]:
    """List what the page offers, the default first: name, title, and whether it has a level."""
    found = []
    for name in list_enhancers():
        card = load_card(data_dir() / "pretrained" / name)
        own = "level" in card["inputs"]
        found.append({"name": name, "title": card["method"], "level": own, "trained": True})
    for name in BASELINES:
        if name != "input":
            title = name.replace("_", " ")
            found.append({"name": name, "title": title, "level": False, "trained": False})
    return sorted(found, key=lambda method: method["name"] != DEFAULT)


def create_app(limits: Limits | None = None) -> Flask:
    """Make the application and start its worker.

    Args:
        limits: What to take on; the defaults of `Limits` when None.

    Returns:
        A WSGI application. Its worker, ``app.extensions["worker"]``, has a ``close``.
    """
    limits = limits or Limits()
    offered = methods()
    worker = Worker(limits.waiting, limits.seconds, offered[0]["name"])
    app = Flask(__name__, static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = int(limits.megabytes * 1e6)
    app.extensions["worker"] = worker
    answers: Counter = Counter()
    spent = Counter(seconds=0.0, photos=0)

    @app.get("/")
    def page() -> Response:
        return _resource("page.html", "text/html")

    @app.get("/page.css")
    def style() -> Response:
        return _resource("page.css", "text/css")

    @app.get("/page.js")
    def script() -> Response:
        return _resource("page.js", "text/javascript")

    @app.get("/health")
    def health() -> tuple[Response, int]:
        alive = worker.alive
        return jsonify(status="ok" if alive else "down"), 200 if alive else 503

    @app.get("/metrics")
    def metrics() -> Response:
        text = _metrics(answers, spent, worker)
        return Response(text, content_type="text/plain; version=0.0.4; charset=utf-8")

    @app.get("/openapi.json")
    def document() -> Response:
        return jsonify(openapi(limits, offered))

    @app.get("/api/methods")
    def list_methods() -> Response:
        return jsonify(methods=offered, limits=vars(limits))

    @app.post("/api/enhance")
    def enhance() -> Response:
        method, level, kind = _parameters({entry["name"] for entry in offered})
        content = _upload(limits)
        started = time.monotonic()
        try:
            result = worker.run(Job(content, method, level, kind))
        except ValueError as error:
            abort(422, str(error))
        except BusyError:
            return _error(503, "Busy: too many photos are waiting. Try again.", worker)
        except TooSlowError:
            abort(504, f"This photo takes {method} more than {limits.seconds:g} s. Reduce it.")
        except CrashError:
            return _error(503, f"{method} broke off; a smaller photo may succeed.", worker)
        spent.update(seconds=time.monotonic() - started, photos=1)
        return Response(result, mimetype=f"image/{kind}")

    @app.after_request
    def finish(response: Response) -> Response:
        response.headers.update(HEADERS)
        if request.path == "/api/enhance":
            answers[response.status_code] += 1
        return response

    @app.errorhandler(HTTPException)
    def refuse(error: HTTPException) -> Response:
        response = _error(error.code, error.description)
        if getattr(error, "valid_methods", None):
            response.headers["Allow"] = ", ".join(error.valid_methods)
        return response

    @app.errorhandler(Exception)
    def fail(error: Exception) -> Response:
        app.logger.error("request failed", exc_info=error)
        return _error(500, "Something went wrong here; the log of the server says what.")

    return app


def serve(host: str, port: int, limits: Limits) -> None:
    """Serve the page until interrupted.

    Args:
        host: Address to listen on; 127.0.0.1 is seen by this machine alone.
        port: Port to listen on.
        limits: What to take on.
    """
    import waitress

    app = create_app(limits)
    memory = int(limits.megabytes * 1e6) + 2**20  # what fits is not spooled to disk
    try:
        waitress.serve(
            app,
            host=host,
            port=port,
            threads=limits.waiting + 8,  # some are free to say "busy" when the queue is full
            connection_limit=CONNECTIONS,
            channel_timeout=30,
            max_request_body_size=memory,
            inbuf_overflow=memory,
            outbuf_overflow=2**28,
            ident=None,
            clear_untrusted_proxy_headers=True,
        )
    finally:
        app.extensions["worker"].close()


def _resource(name: str, kind: str) -> Response:
    return Response((files("lle_utils") / name).read_bytes(), content_type=f"{kind}; charset=utf-8")


def _error(code: int, message: str, worker: Worker | None = None) -> Response:
    response = jsonify(error=message)
    response.status_code = code
    if worker is not None:
        seconds = math.ceil(worker.typical * max(worker.queued, 1))
        response.headers["Retry-After"] = str(min(max(seconds, 1), 60))
    return response


def _parameters(names: set[str]) -> tuple[str, float, str]:
    """Read the query of a request: method, level and format."""
    known = ("method", "level", "format")
    for name in request.args:
        if name not in known or len(request.args.getlist(name)) > 1:
            abort(422, f"Give each of {', '.join(known)} at most once, and nothing else.")
    method = request.args.get("method", DEFAULT)
    if method not in names:
        abort(422, f"Unknown method; known are {', '.join(sorted(names))}.")
    kind = request.args.get("format", "jpeg")
    if kind not in KINDS:
        abort(422, f"Unknown format; known are {', '.join(KINDS)}.")
    try:
        level = float(request.args.get("level", "1"))
    except ValueError:
        level = math.nan
    if not 0 <= level <= TOP_LEVEL:
        abort(422, f"The level must be a number from 0 to {TOP_LEVEL:g}.")
    return method, level, kind


def _upload(limits: Limits) -> bytes:
    """Read the body of a request and look at its first bytes; decoding comes later."""
    content = request.get_data(cache=False, parse_form_data=False)  # 413 when too large
    kind = request.mimetype
    if not (kind.startswith("image/") or kind == "application/octet-stream"):
        abort(415, "Send the bytes of one photo as the body, with Content-Type image/jpeg or so.")
    try:
        with Image.open(BytesIO(content), formats=FORMATS) as picture:
            width, height = picture.size
    except Image.DecompressionBombError:
        width = height = 10**5
    except Exception:  # bytes made to confuse a decoder raise anything at all
        abort(415, f"This is not a photo that can be read here: {', '.join(FORMATS)}.")
    if width * height > limits.megapixels * 1e6:
        abort(413, f"The photo is larger than {limits.megapixels:g} megapixels. Reduce it.")
    return content


def _metrics(answers: Counter, spent: Counter, worker: Worker) -> str:
    """Write the counters in the text format of Prometheus."""
    lines = ["# TYPE lle_enhance_requests_total counter"]
    lines += [
        f'lle_enhance_requests_total{{code="{code}"}} {count}'
        for code, count in sorted(answers.items())
    ]
    values = {
        "lle_enhance_seconds_sum counter": round(spent["seconds"], 3),
        "lle_enhance_seconds_count counter": spent["photos"],
        "lle_queue_length gauge": worker.queued,
        "lle_queue_limit gauge": worker.waiting + 1,
        "lle_worker_restarts_total counter": worker.restarts,
    }
    for name, value in values.items():
        lines += [f"# TYPE {name}", f"{name.split()[0]} {value}"]
    return "\n".join(lines) + "\n"


def openapi(limits: Limits, offered: list[dict]) -> dict:
    """Describe the endpoints as an OpenAPI 3.1 document.

    Args:
        limits: What the server takes on.
        offered: As from `methods`.

    Returns:
        The document, ready for JSON.
    """
    photo = {"schema": {"type": "string", "format": "binary"}}
    error = {"$ref": "#/components/schemas/Error"}
    refusals = {
        "413": f"more than {limits.megabytes:g} MB or {limits.megapixels:g} megapixels",
        "415": "not a photo of a known kind",
        "422": "a wrong parameter, or a damaged photo",
        "503": "busy; Retry-After says how many seconds to wait",
        "504": f"the photo takes longer than {limits.seconds:g} s",
    }
    enhance = {
        "operationId": "enhance",
        "summary": "Brighten a photo",
        "parameters": [
            _query("method", [m["name"] for m in offered], offered[0]["name"]),
            {
                "name": "level",
                "in": "query",
                "description": "0 is the photo, 1 what the method makes of it, more is beyond",
                "schema": {"type": "number", "minimum": 0, "maximum": TOP_LEVEL, "default": 1},
            },
            _query("format", list(KINDS), "jpeg"),
        ],
        "requestBody": {
            "required": True,
            "content": {f"image/{kind}": photo for kind in ("jpeg", "png", "webp")},
        },
        "responses": {
            "200": {
                "description": "the enhanced photo, of the same size",
                "content": {f"image/{kind}": photo for kind in KINDS},
            },
            **{code: _json(text, error) for code, text in refusals.items()},
        },
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": "Low-light image enhancement", "version": __version__},
        "paths": {
            "/api/enhance": {"post": enhance},
            "/api/methods": _get("listMethods", "methods and limits", _object("methods", "limits")),
            "/health": _get("health", "the worker is alive", _object("status"), down=True),
        },
        "components": {"schemas": {"Error": _object("error")}},
    }


def _query(name: str, values: list[str], default: str) -> dict:
    schema = {"type": "string", "enum": values, "default": default}
    return {"name": name, "in": "query", "schema": schema}


def _object(*required: str) -> dict:
    return {"type": "object", "required": list(required)}


def _json(description: str, schema: dict) -> dict:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _get(operation: str, description: str, schema: dict, down: bool = False) -> dict:
    responses = {"200": _json(description, schema)}
    if down:
        responses["503"] = _json("it is not", schema)
    return {"get": {"operationId": operation, "responses": responses}}
