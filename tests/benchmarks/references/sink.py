"""A collector that takes whatever is posted to it, and answers 200 with nothing: what a plugin that exports sends to.

python -m tests.benchmarks.references.sink
"""

from __future__ import annotations

import asyncio
import re
import socket

from tests.benchmarks.references.lifetime import follow_stdin

_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n"


async def _take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            length = _LENGTH.search(head)
            await reader.readexactly(int(length[1]) if length else 0)
            writer.write(_ANSWER)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass  # it has gone
    finally:
        writer.close()


async def _serve(listener: socket.socket) -> None:
    async with await asyncio.start_server(_take, sock=listener) as server:
        await server.serve_forever()


def main() -> None:
    """Take requests on a free port until stdin ends."""
    follow_stdin()
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(16)
        print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
        asyncio.run(_serve(listener))


if __name__ == "__main__":
    main()
