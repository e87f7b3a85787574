"""An upstream that does what it is told, faults included: a real process on a real socket.

    python -m tests.upstreams.scripted [PORT [SETTINGS]]

It prints its address, and ends when stdin does. `SETTINGS` are as JSON what `POST /control` takes; that changes what it
does from then on, and `GET /control` tells what came:

    {"fault": {"kind": "hang", "times": 2}, "models": ["a"], "form": {"omit": ["usage"]}, "key": "secret", "pause": 0.1}

What a single request is to be answered it says itself, in its last message or its prompt: a script, as those of
`jan_core.testing.scripted`, which may have a `fault` besides.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from dataclasses import asdict, dataclass, field
from typing import Any

from jan_core.errors import JanError
from jan_core.testing.scripted import failure
from tests.benchmarks.references.lifetime import follow_stdin
from tests.upstreams import faults
from tests.upstreams.answers import Asked, Form, Refused, asked, failed, vectors
from tests.upstreams.faults import BEFORE, Fault
from tests.upstreams.wire import LIMIT, Exchange, Gone, Protocol, next_request

MODEL = "scripted"
KEPT = 10_000
"""Requests that are told of at most."""


@dataclass
class Upstream:
    """The server's state.

    Attributes:
        models: the ids that it lists and answers for.
        form: how answers are changed.
        key: that requests must bring; None where none.
        pause: seconds between portions of 4 KiB in which bodies are read.
        faults: what is to go wrong, the first that fits first.
        requests: those that came.
        open: answers under way.
        left: answers that their client did not wait for.
        whole: answers that were written to their end.
        written: bytes of answers.
        connections: that were made.
    """

    models: list[str] = field(default_factory=lambda: [MODEL])
    form: Form = field(default_factory=Form)
    key: str | None = None
    pause: float = 0.0
    faults: list[Fault] = field(default_factory=list)
    requests: list[dict[str, Any]] = field(default_factory=list)
    open: int = 0
    left: int = 0
    whole: int = 0
    written: int = 0
    connections: int = 0

    def command(self, told: dict[str, Any]) -> None:
        """Do from now on as told."""
        if "fault" in told:
            told["faults"] = [told["fault"]] if told["fault"] else []
        if "faults" in told:
            self.faults = [found for one in told["faults"] if (found := faults.read(one)) is not None]
        if "form" in told:
            self.form = Form(**told["form"])
        for name in ("models", "key", "pause"):
            if name in told:
                setattr(self, name, told[name])
        if told.get("forget"):
            self.requests, self.left, self.whole, self.written = [], 0, 0, 0

    def told(self) -> dict[str, Any]:
        """What came, and how it stands."""
        names = ("requests", "open", "left", "whole", "written", "connections")
        return {name: getattr(self, name) for name in names} | {"faults": [asdict(one) for one in self.faults]}

    def fault_for(self, on: Exchange, body: Any) -> Fault | None:
        """The fault that this request is to meet."""
        answer = on.method == "POST"
        found = faults.of_message(body) if answer else None
        if found is not None:
            return found
        for one in self.faults:
            if (answer or one.everywhere) and one.times != 0:
                if one.times is not None:
                    one.times -= 1
                return one
        return None

    async def answer(self, on: Exchange) -> None:
        """Answer one request."""
        path = on.path.partition("?")[0]
        if path == "/control":
            if on.method == "POST":
                self.command(on.json())
            await on.reply(200, self.told())
            return
        body = on.json()
        kept = body if len(on.body) < 4096 else None
        if len(self.requests) < KEPT:
            one = {"method": on.method, "path": on.path, "headers": on.headers, "body": kept, "at": time.time()}
            self.requests.append(one)
        self.open += 1
        try:
            fault = self.fault_for(on, body)
            if fault is not None and fault.kind in BEFORE:
                await BEFORE[fault.kind](on, fault)
            else:
                await self._answer(on, path.removeprefix("/v1"), body, fault)
            self.whole += 1
        except Gone:
            self.left += 1
            raise
        except Refused as refused:
            await on.reply(refused.status, refused.body)
        finally:
            self.open -= 1
            self.written += on.written

    async def _answer(self, on: Exchange, path: str, body: Any, fault: Fault | None) -> None:
        if self.key is not None and on.headers.get("authorization") != f"Bearer {self.key}":
            raise Refused(401, "Incorrect API key provided.", None, "invalid_api_key")
        if on.method == "GET" and path == "/models":
            listed = [{"id": one, "object": "model", "owned_by": "somebody"} for one in self.models]
            await on.reply(200, {"object": "list", "data": listed, "x_scripted": True})
        elif on.method == "GET" and path == "/health":
            await on.reply(200, {"status": "ok"})
        elif on.method != "POST" or path not in ("/chat/completions", "/completions", "/embeddings"):
            raise Refused(404, f"there is no {on.method} {on.path}")
        elif not isinstance(body, dict):
            raise Refused(400, "the body is no JSON object")
        elif body.get("model") not in self.models:
            raise Refused(404, f"The model `{body.get('model')}` does not exist.", None, "model_not_found")
        elif path == "/embeddings":
            await self._whole(on, vectors(body), fault)
        else:
            await self._written(on, body, asked(body, chat=path != "/completions"), fault)

    async def _written(self, on: Exchange, body: dict[str, Any], found: Asked, fault: Fault | None) -> None:
        script = found.script
        if script.fail is not None and script.fail_after == 0:
            error = failure(script.fail)
            told = failed(error) if isinstance(error, JanError) else {"error": str(error)}
            headers = error.headers if isinstance(error, JanError) else {}
            await on.reply(error.status if isinstance(error, JanError) else 500, told, headers)
            return
        if not body.get("stream"):
            last = max((at for one in found.said for at, _ in one.pieces), default=0)
            await on.wait(max(script.wait, last))
            if found.hangs:
                await on.hang()
            await self._whole(on, found.whole(), fault)
            return
        await on.wait(script.wait)
        await on.begin()
        loop = asyncio.get_running_loop()
        began = loop.time()
        for number, (due, event) in enumerate(found.chunks(self.form)):
            if fault is not None and number == fault.after:
                break
            left = began + due - script.wait - loop.time()
            if left > 0:
                await asyncio.sleep(left)
            await on.piece(event)
        if fault is not None:
            await faults.within(on, fault, None)
            return
        if found.hangs:
            await on.hang()
        await on.piece(b"data: [DONE]\n\n")
        await on.end()

    async def _whole(self, on: Exchange, told: dict[str, Any], fault: Fault | None) -> None:
        whole = json.dumps(self.form.of(told)).encode()
        if fault is not None:
            await faults.within(on, fault, whole)
        else:
            await on.reply(200, whole)


async def serve(upstream: Upstream, port: int) -> None:
    """Serve on 127.0.0.1, and print the address, until the process ends."""
    loop = asyncio.get_running_loop()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream.connections += 1
        gone = writer.transport.get_protocol().gone  # type: ignore[attr-defined]
        try:
            while True:
                on = await next_request(reader, writer, gone, upstream.pause)
                if on is None:
                    return
                await upstream.answer(on)
                if not on.keep:
                    return
        except (Gone, ConnectionError):
            pass
        finally:
            writer.close()

    def protocol() -> Protocol:
        return Protocol(asyncio.StreamReader(LIMIT), connected)

    server = await loop.create_server(protocol, "127.0.0.1", port, backlog=1024)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await loop.create_future()


def main() -> None:
    """Serve until stdin ends."""
    follow_stdin()
    upstream = Upstream()
    upstream.command(json.loads(sys.argv[2]) if len(sys.argv) > 2 else {})
    run(serve(upstream, int(sys.argv[1]) if len(sys.argv) > 1 else 0))


def run(serving: Any) -> None:
    """Run on uvloop where there is one."""
    if sys.platform == "win32":
        asyncio.run(serving)
        return
    import uvloop

    uvloop.run(serving)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
