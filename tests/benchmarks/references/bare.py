"""One Starlette route that returns the bytes of a file, read once: the least that a server in this house can do.

python -m tests.benchmarks.references.bare FILE [PATH]
"""

from __future__ import annotations

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
    path = sys.argv[2] if len(sys.argv) > 2 else "/v1/models"

    async def constant(request: Request) -> Response:
        return Response(content, media_type="application/json")

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(128)
        print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
        app = Starlette(routes=[Route(path, constant)])
        config = uvicorn.Config(app, loop="uvloop", http="httptools", access_log=False, log_level="warning")
        uvicorn.Server(config).run([listener])


if __name__ == "__main__":
    main()
