"""Clients that ask without a pause and know the only right answer: each has the engine write one token, its own."""

from __future__ import annotations

import json
import random
import threading
import time
from typing import Any, NamedTuple

from tests.e2e.raw import Raw
from tests.e2e.server import MODEL, JanServer

FIRST_TOKEN = 1000
"""The first client's token; the next ones' follow. All of them are words of the real model's vocabulary."""


class Outcome(NamedTuple):
    """What came of a request: when it ended (monotonic), and the error's code, None where the answer was right."""

    ended: float
    error: str | None


class Load:
    """So many clients for the time of a `with`; half of their requests are streams.

    A wrong answer, or an error that is none of Jan's, ends the client with an exception, which fails the test.

    Args:
        server: whom they ask.
        clients: how many there are.
    """

    def __init__(self, server: JanServer, clients: int) -> None:
        self.outcomes: list[Outcome] = []
        self._server = server
        self._over = threading.Event()
        self._came = threading.Condition()
        self._words = [self._word(FIRST_TOKEN + number) for number in range(clients)]
        assert len(set(self._words)) == clients, "two clients could not tell their answers apart"
        self._threads = [threading.Thread(target=self._ask, args=(number,)) for number in range(clients)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(120)
        assert not [thread for thread in self._threads if thread.is_alive()], "a request hangs"

    def answered_after(self, moment: float, seconds: float = 60) -> float:
        """Wait for a right answer that ended after a moment; returns when it ended."""

        def found() -> float | None:
            return next((one.ended for one in self.outcomes if one.ended > moment and one.error is None), None)

        with self._came:
            assert self._came.wait_for(found, seconds), f"no answer in {seconds:g} s"
            return found() or 0.0

    def errors(self, begin: float = 0.0, end: float = float("inf")) -> list[str]:
        """The codes of the errors that came between two moments."""
        return [one.error for one in self.outcomes if one.error is not None and begin <= one.ended < end]

    def _ask(self, number: int) -> None:
        chance = random.Random(number)
        while not self._over.is_set():
            tokens, stream = chance.randint(1, 12), chance.random() < 0.5
            with self._server.raw() as client:
                client.chat(**body(FIRST_TOKEN + number, tokens), stream=stream)
                text, error = streamed(client) if stream else plain(client)
            assert error is not None or text == self._words[number] * tokens, f"client {number} was told {text!r}"
            with self._came:
                self.outcomes.append(Outcome(time.monotonic(), error))
                self._came.notify_all()

    def _word(self, token: int) -> str:
        with self._server.raw() as client:
            client.chat(**body(token, 1))
            text, error = plain(client)
        assert error is None, error
        assert text
        return text


def body(token: int, tokens: int) -> dict[str, Any]:
    """A request whose answer is this token so many times, whatever the model makes of it."""
    messages = [{"role": "user", "content": "hi"}]
    return {"model": MODEL, "messages": messages, "max_tokens": tokens, "logit_bias": {str(token): 100}}


def plain(client: Raw) -> tuple[str, str | None]:
    """Text and error of a whole reply; one of them."""
    reply = client.reply()
    if reply.status != 200:
        return "", str(reply.error()["code"])
    return str(reply.json()["choices"][0]["message"]["content"]), None


def streamed(client: Raw) -> tuple[str, str | None]:
    """Text and error of a stream; both where it began well. Without an error it must have ended as streams do."""
    status, headers = client.head()
    if status != 200:
        return "", str(client.rest(status, headers).error()["code"])
    text, last = "", ""
    for last in client.events():
        if last == "[DONE]":
            continue
        event = json.loads(last)
        if "error" in event:
            return text, str(event["error"]["code"])
        text += "".join(choice["delta"].get("content") or "" for choice in event["choices"])
    assert last == "[DONE]", "a stream ended without saying that it is over"
    return text, None
