"""Where spans go: a collector, a file, standard output."""

from __future__ import annotations

import gzip
import ssl
import sys
from collections.abc import Mapping
from pathlib import Path

from jan_tracing_otel.encoding import Encoding
from jan_tracing_otel.sending import Later, Refused

RETRIED = frozenset({408, 429, 500, 502, 503, 504})
"""Answers of a collector after which a batch is sent again; 408 and 500 are no part of OTLP, but of proxies."""


class Collector:
    """A collector that takes OTLP over HTTP.

    Args:
        url: where batches are posted.
        encoding: how a batch is written.
        headers: further headers of each request.
        timeout: seconds to wait for an answer.
        compress: whether batches are compressed with gzip.
        certificate: a file with the certificates of who may sign the collector's; empty for the usual ones.
        client: files with this server's own certificate and its key; empty where it needs none.
    """

    def __init__(
        self,
        url: str,
        encoding: Encoding,
        *,
        headers: Mapping[str, str],
        timeout: float,
        compress: bool = False,
        certificate: str = "",
        client: tuple[str, str] = ("", ""),
    ) -> None:
        import httpx2  # in the thread, so that no request and no start waits for it

        self.name = url
        self._encoding = encoding
        self._compress = compress
        self._errors = httpx2.HTTPError
        told = {"content-type": encoding.content_type, "user-agent": "jan-tracing-otel", **headers}
        if compress:
            told["content-encoding"] = "gzip"
        self._verify: bool | ssl.SSLContext = True
        if url.startswith("https:") and (certificate or client[0]):
            self._verify = ssl.create_default_context(cafile=certificate or None)
            if client[0]:
                self._verify.load_cert_chain(client[0], client[1] or None)
        self._http = httpx2.Client(headers=told, timeout=timeout, verify=self._verify)

    def send(self, spans: list[bytes]) -> None:
        """See `Destination`."""
        body = self._encoding.batch(spans)
        try:
            answer = self._http.post(self.name, content=gzip.compress(body) if self._compress else body)
        except self._errors as error:
            raise Later(str(error) or type(error).__name__) from error
        if answer.status_code in RETRIED:
            raise Later(f"it answers {answer.status_code}", _seconds(answer.headers.get("retry-after", "")))
        if not answer.is_success:
            raise Refused(f"it answers {answer.status_code}")

    def close(self) -> None:
        """See `Destination`."""
        self._http.close()


def _seconds(text: str) -> float | None:
    return float(text) if text.isdecimal() else None


class File:
    """A file to which a line is added for each batch. Another program may move it away meanwhile.

    Args:
        path: the file; its folder is made where there is none.
        encoding: how a batch is written.
    """

    def __init__(self, path: Path, encoding: Encoding) -> None:
        self.name = str(path)
        self._path = path
        self._encoding = encoding

    def send(self, spans: list[bytes]) -> None:
        """See `Destination`."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("ab") as file:
                file.write(self._encoding.batch(spans))
        except OSError as error:
            raise Later(f"{error.strerror or error}") from error

    def close(self) -> None:
        """See `Destination`."""


class Console:
    """Standard output.

    Args:
        encoding: how a batch is written.
    """

    name = "standard output"

    def __init__(self, encoding: Encoding) -> None:
        self._encoding = encoding

    def send(self, spans: list[bytes]) -> None:
        """See `Destination`."""
        try:
            sys.stdout.write(self._encoding.batch(spans).decode())
            sys.stdout.flush()
        except (OSError, ValueError) as error:
            raise Refused(str(error)) from error

    def close(self) -> None:
        """See `Destination`."""
