"""The worker process of llama.cpp: `python -m jan_llamacpp.worker`."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from jan_workers.child import Child, Refused, run

from jan_llamacpp.own_server import OwnServer
from jan_llamacpp.stopping import Stopping
from jan_llamacpp.template import HarmfulTemplate, check, environment, mistake

READ_PER_SECOND = 128 << 10
"""Bytes of a request that are rendered and cut into tokens in a second of CPU time at the very least."""
PATIENCE_FACTOR = 5
"""What a second of CPU time may take on a busy machine, in seconds, where CPU time cannot be told."""
ROUTES = {
    "embedding": "/v1/embeddings",
    "tokenize": "/tokenize",
    "detokenize": "/detokenize",
    "template": "/apply-template",
}
"""Tasks that only the engine's own HTTP server does, and where; they take and return what it does."""


class LlamaCppChild(Child):
    """One model in llama.cpp.

    Tasks, each with a request in the format of llama.cpp's server: `chat` and `completion`, answered in pieces;
    `embedding`, `tokenize`, `detokenize` and `template` (the prompt that messages become), answered in one piece, with
    empty objects before it that only say that it goes on; `describe` (takes `{}`): `vocabulary` (how many tokens there
    are), `width` (numbers of an embedding), `start` (the token that begins a text, or null) and `fim` (the tokens
    before, between and after the parts of a text with a gap, `[…, prefix, suffix, middle]`, or why there are none, a
    string). A piece with `error` is the engine's refusal.
    """

    _server: Any = None
    _template_seconds = 2.0

    def check(self, given: dict[str, Any]) -> None:
        """Render the chat template in a sandbox."""
        self._template_seconds = given["template_seconds"]
        if given.get("chat_template"):
            try:
                check(given["chat_template"])
            except HarmfulTemplate as error:
                raise Refused("harmful_template", f"the chat template is refused: {error}") from error

    def open(self, given: dict[str, Any]) -> None:
        """Load the model with llama.cpp's own server object."""
        self._own = OwnServer()
        try:
            self._server = _open(given, self._own)
        except BaseException as error:
            self._own.close()
            # The engine does not always say that it is the template that it cannot read.
            wrong = mistake(given.get("chat_template_override") or "")
            if wrong is not None and isinstance(error, Exception):
                raise Refused("bad_template", f"the chat template cannot be read: {wrong}") from error
            raise
        self._description: bytes | None = None

    def patience(self, body: bytes) -> float | None:
        """What rendering the template and cutting the prompt into tokens may take."""
        return self._template_seconds + len(body) / READ_PER_SECOND

    def answer(self, task: str, body: bytes, on_piece: Callable[[bytes], bool]) -> None:
        """Have the engine do a task; it calls back with each piece."""
        if task in ("chat", "completion"):
            self._say(task, body, on_piece)
        elif task == "describe":
            if self._description is None:
                self._description = json.dumps(_describe(self._own)).encode()
            on_piece(self._description)
        else:
            self._ask(task, body, on_piece)

    def _say(self, task: str, body: bytes, on_piece: Callable[[bytes], bool]) -> None:
        """Have the engine write text; stop strings are ours to look for."""
        told = on_piece
        if b'"stop"' in body:
            request = json.loads(body)
            if request.get("stop"):
                stopping = Stopping(request, chat=task == "chat")
                body = json.dumps(request).encode()

                def told(piece: bytes) -> bool:
                    return any(on_piece(one) for one in stopping.take(piece)) or stopping.over

        if task == "chat":
            self._chat(body, told)
        else:
            self._server.handle_completions(body, told)

    def _chat(self, body: bytes, on_piece: Callable[[bytes], bool]) -> None:
        try:
            self._server.handle_chat_completions(body, on_piece)
        except Exception as error:
            message = str(error)
            if "template" in message:  # many refuse a second system message, or roles that do not alternate
                reason = message.rpartition("Jinja Exception: ")[2].strip().splitlines()[-1][:300]
                raise Refused("template_failed", reason) from error
            if message.startswith(("Cannot have ", "Assistant response ")):  # its checks of the last messages
                raise Refused("invalid_messages", message) from error
            raise

    def _ask(self, task: str, body: bytes, on_piece: Callable[[bytes], bool]) -> None:
        """Have the engine's own server do a task."""
        path = ROUTES.get(task)
        if path is None:
            raise Refused("unknown_task", f"llama.cpp has no task {task!r}")
        until = time.monotonic() + PATIENCE_FACTOR * (self.patience(body) or 0)

        def on_wait() -> bool:
            if task != "template":
                return on_piece(b"{}")
            if time.monotonic() > until:  # its thread computes, and nothing but the end of the process ends that
                self.overdue()
            return False

        reply = self._own.ask(path, body, on_wait)
        if reply is not None:
            on_piece(reply)


def _open(given: dict[str, Any], own: OwnServer) -> Any:
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
    if given.get("pooling"):
        params.embedding = True
        # With a cache for each slot, texts of different lengths in one batch get wrong vectors (cosines down to 0.74 to
        # those they get alone); with one cache for all slots they get the same.
        params.kv_unified = True
        params.pooling_type = getattr(xllamacpp.llama_pooling_type, f"LLAMA_POOLING_TYPE_{given['pooling'].upper()}")
    own.prepare(params)
    server = xllamacpp.Server(params)
    own.listens(server)
    return server


def _describe(own: OwnServer) -> dict[str, Any]:
    """What the engine knows of its model that requests depend on."""
    model = json.loads(own.ask("/v1/models", None) or b"{}")["data"][0]["meta"]
    start = json.loads(own.ask("/props", None) or b"{}").get("bos_token") or ""
    found = _tokens(own, start)
    begins = _tokens(own, "", add_special=True)[:1]  # what the engine puts before every text
    # The engine knows its model's tokens for that from the header or by their text, and shows them in a prompt it made.
    gap = {"input_prefix": "", "input_suffix": "", "n_predict": 1, "cache_prompt": False}
    made = json.loads(own.ask("/infill", json.dumps(gap).encode()) or b"{}")
    fim: str | list[int]
    if "error" in made:
        fim = made["error"]["message"].strip()
    else:  # before those three it can name a repository and a file, which nobody told it
        fim = [*begins, *_tokens(own, made["prompt"])[-3:]]
    return {
        "vocabulary": model["n_vocab"],
        "width": model["n_embd"],
        "start": found[0] if len(found) == 1 else None,
        "fim": fim,
    }


def _tokens(own: OwnServer, text: str, add_special: bool = False) -> list[int]:
    asked = {"content": text, "parse_special": True, "add_special": add_special}
    told = json.loads(own.ask("/tokenize", json.dumps(asked).encode()) or b"{}")
    return [int(token) for token in told.get("tokens", ())]


if __name__ == "__main__":
    environment()  # what it imports is no part of the time that a model's template may take
    run(LlamaCppChild)
