"""The worker process of ctransformers: `python -m jan_ctransformers.worker`.

Tasks: `chat` (`messages`) and `completion` (`prompt`, a text or tokens), both with the fields of `Sampling`; `count`,
which takes the same; `tokenize` (`text`) and `detokenize` (`tokens`). A request's own fault is a last piece
`{"error": {"code", "message"}}`.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any

from jan_workers.child import Child, Refused, run
from jan_workers.template import HarmfulTemplate, TemplateFailed, check, environment, mistake, render

from jan_ctransformers.formats import GGUF, REWINDS
from jan_ctransformers.generation import Sampling, Session
from jan_ctransformers.header import read_header
from jan_ctransformers.library import Model, NoBinary
from jan_ctransformers.vocabulary import Unreadable, Vocabulary

READ_PER_SECOND = 16 << 10
"""Bytes of a request that are rendered and cut into tokens in a second of CPU time at the very least."""
COUNTED = 1 << 16
"""Characters up to which a prompt that is too long for the context is counted exactly; cutting it up takes seconds."""


class _Fault(Exception):
    """A request that cannot be answered, and why."""

    def __init__(self, code: str, message: str, **facts: int) -> None:
        super().__init__(message)
        self.told = {"error": {"code": code, "message": message, **facts}}


class CTransformersChild(Child):
    """One model in ctransformers. The library takes one request at a time."""

    _vocabulary: Vocabulary
    _session: Session
    _template: Any = None
    _stops: tuple[str, ...] = ()
    _template_seconds = 2.0

    def check(self, given: dict[str, Any]) -> None:
        """Render the chat template in a sandbox."""
        self._template_seconds = given["template_seconds"]
        if given["chat_template"]:
            try:
                check(given["chat_template"])
            except HarmfulTemplate as error:
                raise Refused("harmful_template", f"the chat template is refused: {error}") from error

    def open(self, given: dict[str, Any]) -> None:
        """Load the model."""
        self._turn = threading.Lock()
        kind = given["type"]
        header = read_header(given["path"]) if kind == GGUF else None
        try:
            model = Model(given["path"], kind, given["context"])
        except NoBinary as error:
            raise RuntimeError(f"error: {error}") from error
        context = min(given["context"], model.context) if model.context > 0 else given["context"]
        ends, begin = given["end_tokens"], given["begin_token"]
        self._vocabulary = Vocabulary(model, kind, header, ends, begin)
        self._session = Session(
            model, self._vocabulary, context, given["threads"], given["batch"], rewinds=kind in REWINDS
        )
        source = given["chat_template"]
        if source is None and {"<|im_start|>", "<|im_end|>"} <= self._vocabulary.special.keys():
            from jan_ctransformers.templates import TEMPLATES

            source = TEMPLATES["chatml"]
        if source is not None:
            wrong = mistake(source)
            if wrong is not None:
                raise Refused("bad_template", f"the chat template cannot be read: {wrong}")
            self._template = environment().from_string(source)
            self._stops = tuple(given["chat_stops"])

    def patience(self, body: bytes) -> float | None:
        """What rendering the template and cutting the prompt into tokens may take."""
        return self._template_seconds + len(body) / READ_PER_SECOND

    def answer(self, task: str, body: bytes, on_piece: Callable[[bytes], bool]) -> None:
        """Do a task."""
        given = json.loads(body)
        with self._turn:
            try:
                if task in ("chat", "completion"):
                    prompt = self._prompt(task, given)
                    self._generate(prompt, given, task, on_piece)
                elif task == "count":
                    prompt = self._prompt("chat" if "messages" in given else "completion", given, True)
                    on_piece(_bytes({"tokens": len(prompt)}))
                elif task == "tokenize":
                    on_piece(_bytes({"tokens": self._tokens(given["text"])}))
                elif task == "detokenize":
                    pieces = [self._vocabulary.piece(token) for token in self._known(given["tokens"])]
                    on_piece(_bytes({"text": b"".join(pieces).decode("utf-8", "replace")}))
                else:
                    raise Refused("unknown_task", f"ctransformers does not do {task!r}")
            except _Fault as fault:
                on_piece(_bytes(fault.told))

    def _prompt(self, task: str, given: dict[str, Any], whatever: bool = False) -> list[int]:
        """The tokens of a prompt, which fit the context but where `whatever` asks for them all the same."""
        if task == "completion" and not isinstance(given["prompt"], str):
            tokens = self._known(given["prompt"])
        elif task == "completion":
            tokens = self._tokens(given["prompt"], begin=True)
        else:
            tokens = self._tokens(self._rendered(given["messages"]), begin=True)
        if not tokens:
            tokens = (
                [self._vocabulary.begin] if self._vocabulary.begin is not None else sorted(self._vocabulary.ends)[:1]
            )
        if not tokens:
            raise _Fault("empty_prompt", "the prompt is empty, and this model has no token to begin with")
        limit = self._session.context
        if len(tokens) >= limit and not whatever:
            told = f"{len(tokens)} tokens; this model is loaded for {limit} tokens of prompt and answer together"
            raise _Fault("context_length_exceeded", told, tokens=len(tokens), limit=limit)
        return tokens

    def _tokens(self, text: str, begin: bool = False) -> list[int]:
        longest, limit = self._vocabulary.longest, self._session.context
        if begin and longest is not None and len(text) > max(longest * limit, COUNTED):
            least = len(text) // longest
            told = f"at least {least} tokens; this model is loaded for {limit} tokens of prompt and answer together"
            raise _Fault("context_length_exceeded", told, tokens=least, limit=limit)
        try:
            return self._vocabulary.prompt(text) if begin else self._vocabulary.tokenize(text)
        except Unreadable as error:
            raise _Fault("unreadable_text", str(error)) from error

    def _known(self, tokens: list[int]) -> list[int]:
        size = self._vocabulary.size
        for token in tokens:
            if not 0 <= token < size:
                raise _Fault("unknown_token", f"the model's vocabulary has tokens from 0 to {size - 1}, not {token}")
        return tokens

    def _rendered(self, messages: list[dict[str, Any]]) -> str:
        if self._template is None:
            raise _Fault("no_chat_template", "the model brings no chat template")
        begin = self._vocabulary.text_of(self._vocabulary.begin) if self._vocabulary.begin is not None else ""
        end = next((text for token in sorted(self._vocabulary.ends) if (text := self._vocabulary.text_of(token))), "")
        try:
            return render(self._template, messages, tools=None, bos_token=begin, eos_token=end)
        except TemplateFailed as error:
            raise Refused("template_failed", str(error)) from error

    def _generate(self, prompt: list[int], given: dict[str, Any], task: str, on_piece: Callable[[bytes], bool]) -> None:
        known = {name: given[name] for name in Sampling.__dataclass_fields__ if given.get(name) is not None}
        stops = [known["stop"]] if isinstance(known.get("stop"), str) else known.get("stop", [])
        known["stop"] = [*stops, *(self._stops if task == "chat" else ())]
        self._session.answer(prompt, Sampling(**known), lambda piece: on_piece(_bytes(piece)))


def _bytes(piece: dict[str, Any]) -> bytes:
    return json.dumps(piece, separators=(",", ":")).encode()


if __name__ == "__main__":
    environment()  # what it imports is no part of the time that a model's template may take
    run(CTransformersChild)
