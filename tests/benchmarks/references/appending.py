"""One Starlette route that appends the same bytes to a file, flushes them to the disk, and answers with them.

python -m tests.benchmarks.references.appending FILE APPENDED_TO
"""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tests.benchmarks.references.lifetime import follow_stdin


def main() -> None:
    """Serve on a free port until stdin ends."""
    follow_stdin()
    content = Path(sys.argv[1]).read_bytes()
    appended = os.open(sys.argv[2], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)

    async def append(request: Request) -> Response:
        await request.body()
        # On the event loop: the quickest for one client, and what the route with the fewest lines would do.
        os.write(appended, content)
        os.fsync(appended)
        return Response(content, media_type="application/json")

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(128)
        print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
        app = Starlette(routes=[Route("/append", append, methods=["POST"])])
        config = uvicorn.Config(app, loop="uvloop", http="httptools", access_log=False, log_level="warning")
        uvicorn.Server(config).run([listener])


if __name__ == "__main__":
    main()
