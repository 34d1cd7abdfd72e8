"""The web page of ``lle serve``: a photo in, a brighter photo out, nothing kept.

Flask answers, waitress serves, and a process of its own (`lle_utils.serving.worker`) works on the
photos. Uploads stay in memory; neither they nor their names are written or logged.
"""

from __future__ import annotations

import waitress
from flask import Flask

from lle_utils.serving.connections import Channel
from lle_utils.serving.limits import IDLE_SECONDS, MAX_CONNECTIONS, Limits
from lle_utils.serving.routes import routes
from lle_utils.serving.service import Counters, Service, offered_methods
from lle_utils.serving.worker import Worker


def create_app(limits: Limits | None = None) -> Flask:
    """Make the application and start its worker.

    Args:
        limits: What to take on; the defaults of `Limits` when None.

    Returns:
        A WSGI application. ``app.extensions["lle"]`` is its `Service`, whose ``worker`` has a
        ``close``.
    """
    limits = limits or Limits()
    methods = offered_methods()
    worker = Worker(limits.waiting, limits.seconds, methods[0]["name"])
    app = Flask(__name__, static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = _bytes(limits)
    app.extensions["lle"] = Service(limits, methods, worker, Counters())
    app.register_blueprint(routes)
    return app


def serve(host: str, port: int, limits: Limits) -> None:
    """Serve the page until interrupted.

    Args:
        host: Address to listen on; 127.0.0.1 is seen by this machine alone.
        port: Port to listen on.
        limits: What to take on.
    """
    app = create_app(limits)
    memory = _bytes(limits) + 2**20  # what fits is not spooled to disk
    listeners: dict = {}
    server = waitress.create_server(
        app,
        listeners,
        host=host,
        port=port,
        threads=limits.waiting + 8,  # some are free to say "busy" when the queue is full
        connection_limit=MAX_CONNECTIONS,
        asyncore_use_poll=True,  # which, unlike select, counts no file higher than others
        channel_timeout=IDLE_SECONDS,
        cleanup_interval=IDLE_SECONDS,
        channel_request_lookahead=1,  # or nobody would notice that a client has left
        max_request_body_size=memory,
        inbuf_overflow=memory,
        outbuf_overflow=2**28,
        ident=None,
        clear_untrusted_proxy_headers=True,
    )
    for listener in listeners.values():
        listener.channel_class = Channel
    try:
        server.run()
    finally:
        app.extensions["lle"].worker.close()


def _bytes(limits: Limits) -> int:
    return int(limits.megabytes * 1e6)
