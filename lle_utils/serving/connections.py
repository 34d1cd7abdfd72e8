"""Connections as waitress keeps them, with its own refusals told as the application tells its."""

from __future__ import annotations

import json

from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser, ParsingError
from waitress.task import ErrorTask

from lle_utils.serving.limits import SECURITY_HEADERS


class _Parser(HTTPRequestParser):
    """A parser that refuses requests of two lengths, which a proxy before it may read otherwise.

    Reference:
        RFC 9112, section 6.1.
    """

    def parse_header(self, header_plus: bytes) -> None:
        super().parse_header(header_plus)
        if "TRANSFER_ENCODING" in self.headers:  # taken out of requests of HTTP/1.1
            raise ParsingError("Transfer-Encoding needs HTTP/1.1.")
        if self.chunked and "CONTENT_LENGTH" in self.headers:
            raise ParsingError("Give Content-Length or Transfer-Encoding, not both.")


class _ErrorTask(ErrorTask):
    """An answer to what the application never sees, such as an upload beyond all limits."""

    def execute(self) -> None:
        error = self.request.error
        body = json.dumps({"error": f"{error.reason}: {error.body}"}).encode()
        self.status = f"{error.code} {error.reason}"
        self.response_headers += [("Content-Type", "application/json"), *SECURITY_HEADERS.items()]
        self.set_close_on_finish()
        self.content_length = len(body)
        self.write(body)


class Channel(HTTPChannel):
    """A connection."""

    parser_class = _Parser
    error_task_class = _ErrorTask
