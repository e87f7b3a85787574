"""The worker process of llama.cpp: `python -m jan_llamacpp.worker`.

llama.cpp opens an HTTP server of its own that this process has no use for: it is put on a socket in a private folder
(on Windows on a loopback port), behind a random key, so that nobody else can reach the model through it.
"""

from __future__ import annotations

import os
import secrets
import sys
import tempfile
from collections.abc import Callable
from typing import Any

from jan_llamacpp.template import HarmfulTemplate, check
from jan_workers.child import Child, Refused, run

READ_PER_SECOND = 128 << 10
"""Bytes of a request that are rendered and cut into tokens in a second of CPU time at the very least."""


class LlamaCppChild(Child):
    """One model in llama.cpp. Its only task so far is `chat`: a chat completion request in its server's format."""

    _server: Any = None
    _template_seconds = 2.0

    def check(self, given: dict[str, Any]) -> None:
        """Render the chat template in a sandbox."""
        self._template_seconds = given["template_seconds"]
        if given.get("chat_template"):
            try:
                check(given["chat_template"])
            except HarmfulTemplate as error:
                raise Refused("harmful_template", f"the model's chat template is refused: {error}") from error

    def open(self, given: dict[str, Any]) -> None:
        """Load the model with llama.cpp's own server object."""
        self._server = _open(given)

    def patience(self, body: bytes) -> float | None:
        """What rendering the template and cutting the prompt into tokens may take."""
        return self._template_seconds + len(body) / READ_PER_SECOND

    def answer(self, task: str, body: bytes, on_piece: Callable[[bytes], bool]) -> None:
        """Have the engine do a task; it calls back with each piece."""
        try:
            self._server.handle_chat_completions(body, on_piece)
        except Exception as error:
            message = str(error)
            if "template" in message:  # many refuse a second system message, or roles that do not alternate
                reason = message.rpartition("Jinja Exception: ")[2].strip().splitlines()[-1][:300]
                raise Refused("template_failed", reason) from error
            raise


def _open(given: dict[str, Any]) -> Any:
    import xllamacpp  # type: ignore[import-untyped]

    params = xllamacpp.CommonParams()
    params.model.path = given["path"]
    params.n_parallel = given["slots"]
    params.n_ctx = given["context"] * given["slots"]
    params.n_batch = params.n_ubatch = given["batch"]
    params.n_gpu_layers = given["gpu_layers"]
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = given["threads"]
    params.cache_ram_mib = given["prompt_cache_mib"]
    params.fit_params = False
    params.ui = False
    params.endpoint_slots = False
    params.cors_origins = ""
    params.verbosity = 1
    if given.get("chat_template_override"):
        params.chat_template = given["chat_template_override"]
    if given.get("mmproj"):
        params.mmproj.path = given["mmproj"]
    params.api_keys = [secrets.token_urlsafe(32)]
    if sys.platform != "win32":
        # mkdtemp makes a folder that only this user can enter.
        folder = tempfile.mkdtemp(prefix="jan-")
        params.hostnames = [os.path.join(folder, "engine.sock")]
    server = xllamacpp.Server(params)
    if sys.platform != "win32":
        os.unlink(params.hostnames[0])
        os.rmdir(folder)
    return server


if __name__ == "__main__":
    run(LlamaCppChild)
