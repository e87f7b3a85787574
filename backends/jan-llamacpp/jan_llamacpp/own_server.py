"""llama.cpp's own HTTP server, closed to everybody but the worker it lives in.

The engine opens that server whether anybody wants it or not, and some things only it can do: cutting text into tokens,
rendering a chat template, embeddings that can be cancelled. It listens behind a random key, where only this process
reaches it:

- on Linux on a Unix socket whose name is removed as soon as it listens; this process keeps a handle of the nameless
  socket and connects through that, so a killed worker leaves nothing behind;
- on macOS on a Unix socket in a folder that only this user can enter; folders of workers that have ended are removed
  when the next one starts;
- on Windows on a loopback port.
"""

from __future__ import annotations

import os
import secrets
import select
import shutil
import socket
import sys
import tempfile
from collections.abc import Callable
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

FOLDER = "jan-engine-"
"""What the name of a socket's folder begins with; the worker's process id follows."""
LONGEST_PARENT = 60
"""Bytes of the path of a folder for temporary files; a socket's whole path may have about a hundred."""
WAIT_SECONDS = 0.05
"""How often a request under way is looked after."""


class OwnServer:
    """Where the engine's server listens, and how to ask it.

    Args:
        nameless: keep a handle of the socket instead of its name; only Linux can.
    """

    def __init__(self, nameless: bool = sys.platform == "linux") -> None:
        self.key = secrets.token_urlsafe(32)
        self._nameless = nameless
        self._folder = ""
        self._address: str | tuple[str, int] = ""
        self._handle = -1

    def prepare(self, params: Any) -> None:
        """Tell the engine where to listen, before its server is made."""
        params.api_keys = [self.key]
        if sys.platform != "win32":
            parent = tempfile.gettempdir()
            if len(os.fsencode(parent)) > LONGEST_PARENT:
                parent = "/tmp"
            sweep(parent)
            # mkdtemp makes a folder that only this user can enter.
            self._folder = tempfile.mkdtemp(prefix=f"{FOLDER}{os.getpid()}-", dir=parent)
            self._address = os.path.join(self._folder, "engine.sock")
            params.hostnames = [self._address]

    def listens(self, server: Any) -> None:
        """Take note that the engine's server listens now."""
        if sys.platform == "win32":
            told = urlsplit(server.listening_address)
            self._address = (told.hostname or "127.0.0.1", told.port or 0)
        elif self._nameless:
            assert isinstance(self._address, str)
            self._handle = os.open(self._address, os.O_PATH)
            shutil.rmtree(self._folder)
            self._address = f"/proc/self/fd/{self._handle}"

    def close(self) -> None:
        """Remove what is left of it on disk."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1
        elif self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)

    def ask(self, path: str, body: bytes | None, on_wait: Callable[[], bool] = lambda: False) -> bytes | None:
        """Ask the engine's server.

        Args:
            path: the route.
            body: JSON to POST; None is GET.
            on_wait: called about every 0.05 s until the answer begins; returns True where nobody wants it any more.
                The connection is closed then, which ends the request.

        Returns:
            The reply, JSON, whatever its status; None where nobody wanted it any more.

        Raises:
            OSError: the server does not answer.
        """
        connection = HTTPConnection("localhost")
        connection.sock = self._connect()
        try:
            headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
            connection.request("GET" if body is None else "POST", path, body, headers)
            while not select.select([connection.sock], [], [], WAIT_SECONDS)[0]:
                if on_wait():
                    return None
            return connection.getresponse().read()
        finally:
            connection.close()

    def _connect(self) -> socket.socket:
        if not isinstance(self._address, str):
            return socket.create_connection(self._address)
        found = socket.socket(socket.AF_UNIX)
        try:
            found.connect(self._address)
        except BaseException:
            found.close()
            raise
        return found


def sweep(folder: str) -> None:
    """Remove what killed workers of this user left in a folder for temporary files."""
    for name in os.listdir(folder):
        process = name.removeprefix(FOLDER).partition("-")[0]
        if name.startswith(FOLDER) and process.isdigit() and not _runs(int(process)):
            shutil.rmtree(os.path.join(folder, name), ignore_errors=True)


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True
