"""The server process: the socket, the limits, the signals."""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import logging
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import uvicorn

from jan_core.app import Jan
from jan_core.asgi import create_app
from jan_core.garbage import sparing_modules
from jan_core.limits import Limits
from jan_core.protocol import limited_protocol
from jan_core.refusal import Refusal
from jan_core.switching import quick_switching


def is_loopback(host: str) -> bool:
    """True for `localhost` and the loopback addresses; any other name counts as public."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def check_bind(jan: Jan) -> None:
    """Refuse to listen beyond loopback without authentication.

    Raises:
        Refusal: the host is public and no chosen plugin authenticates.
    """
    host = jan.server.host
    if is_loopback(host) or jan.authenticated():
        return
    origin = jan.config.get("server", "host")
    raise Refusal(
        f"host = {host!r} ({origin.origin if origin else 'default'})",
        "that address can be reached from other machines, and no chosen plugin asks them for a key",
        "Choose a plugin that asks for keys under [plugins] use, or listen on 127.0.0.1.",
    )


def bind(jan: Jan) -> socket.socket:
    """Open the listening socket.

    Raises:
        Refusal: the port is in use, or the address is not this machine's.
    """
    host, port = jan.server.host.strip("[]"), jan.server.port
    origin = jan.config.get("server", "port")
    asked = f"listen on {host}, port {port} ({origin.origin if origin else 'default'})"
    try:
        family, kind, proto, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, proto)
    except OSError as error:
        raise Refusal(asked, f"{host!r} is no address here: {error}", "Give another one: jan serve --host …") from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(2048)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            cause, remedy = (
                "another program uses that port",
                f"Take another one: jan serve --port {port + 1 if port < 65535 else 1337}",
            )
        elif error.errno == errno.EACCES:
            cause, remedy = "ports below 1024 need privileges", "Take another one: jan serve --port 1337"
        else:
            cause, remedy = str(error), "Give another address: jan serve --host 127.0.0.1"
        raise Refusal(asked, cause, remedy) from error
    listener.setblocking(False)
    return listener


class _Server(uvicorn.Server):
    """uvicorn's server, whose signals end open requests first and whose process then exits with 0."""

    def __init__(self, config: uvicorn.Config, jan: Jan, on_started: Callable[[], None]) -> None:
        super().__init__(config)
        self._jan = jan
        self._on_started = on_started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._on_started()

    async def main_loop(self) -> None:
        with sparing_modules(), quick_switching():
            await super().main_loop()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        wanted = (signal.SIGINT, signal.SIGTERM)

        def stop() -> None:
            if self.should_exit:  # asked twice: leave at once, and without uvicorn's traceback of what was under way
                logging.getLogger("uvicorn.error").disabled = True
                self.force_exit = True
            self.should_exit = True
            self._jan.under_way.stop()

        try:
            for number in wanted:
                loop.add_signal_handler(number, stop)
        except NotImplementedError:  # Windows
            for number in wanted:
                signal.signal(number, lambda *_: loop.call_soon_threadsafe(stop))
        try:
            yield
        finally:
            for number in wanted:
                signal.signal(number, signal.SIG_DFL)


def run(jan: Jan, announce: Callable[[str], None]) -> None:
    """Serve until SIGTERM or Ctrl-C; replies under way end with an error event, within `grace_seconds`.

    Args:
        jan: the built app.
        announce: called once with the server's address, when it answers.

    Raises:
        Refusal: it may not, or cannot, listen there; or the app cannot be entered.
    """
    check_bind(jan)
    listener = bind(jan)
    settings = jan.server
    host, port = listener.getsockname()[:2]
    limits = Limits(
        header_bytes=settings.header_bytes,
        header_seconds=settings.header_seconds,
        body_seconds=settings.body_seconds,
        write_seconds=settings.write_seconds,
    )
    app = create_app(jan, public=not is_loopback(settings.host))
    config = uvicorn.Config(
        app,
        http=limited_protocol(limits, app.refused),
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=True,
        proxy_headers=False,
        timeout_keep_alive=settings.keep_alive_seconds,
        timeout_graceful_shutdown=max(1, round(settings.grace_seconds)),
    )
    shown = f"[{host}]" if ":" in host else host
    server = _Server(config, jan, lambda: announce(f"http://{shown}:{port}"))
    logger = logging.getLogger("uvicorn.error")
    quiet = partial(_says, jan)
    logger.addFilter(quiet)
    try:
        with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
            runner.run(server.serve(sockets=[listener]))
    except SystemExit:
        if jan.refusal is None:
            raise
        raise jan.refusal from None
    finally:
        logger.removeFilter(quiet)
        listener.close()


def _says(jan: Jan, record: logging.LogRecord) -> bool:
    """False for what uvicorn logs of a start that was refused, a traceback: the person is told the refusal itself."""
    return jan.refusal is None
