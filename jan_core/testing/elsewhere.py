"""An app on the storage of another one, in a process of its own: `python -m jan_core.testing.elsewhere`.

What it is to be is read from standard input, as JSON: `path`, where modules are imported from; `how`, the arguments of
`jan_core.testing.wired.one_module`; `threads`, objects that `threads` is to hold; `get`, paths below `/v1`. The status
and the reply to each of these is the last line of its output, as JSON.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

SECONDS = 45.0
"""Longest wait for the process."""


class Failed(Exception):
    """The process came to no answer; the text says why."""


async def read_elsewhere(
    how: Mapping[str, Any], get: Sequence[str], threads: Sequence[Mapping[str, Any]] = ()
) -> list[tuple[int, Any]]:
    """What another process answers that has nothing but the storage.

    Args:
        how: as `built_by` of `jan_core.testing.wired` tells it.
        get: paths below `/v1`.
        threads: threads that it is to have, as JSON has them.

    Returns:
        Status and reply of each.

    Raises:
        Failed: its app cannot be opened, or it has not answered within `SECONDS`.
    """
    told = json.dumps({"path": sys.path, "how": how, "threads": list(threads), "get": list(get)})
    command = [sys.executable, "-m", "jan_core.testing.elsewhere"]
    given = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    try:
        done = await asyncio.to_thread(
            subprocess.run,
            command,
            input=told,
            env=given,
            capture_output=True,
            encoding="utf-8",
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise Failed(f"it has not answered within {SECONDS:.0f} seconds") from None
    if done.returncode:
        raise Failed((done.stderr.strip().splitlines() or ["it said nothing"])[-1])
    return [(status, reply) for status, reply in json.loads(done.stdout.splitlines()[-1])]


async def answers(told: Mapping[str, Any]) -> list[tuple[int, Any]]:
    """The status and the reply of each path, from an app that is opened for this."""
    from jan_core.inprocess import client
    from jan_core.schemas.models import ModelLocation
    from jan_core.schemas.threads import Thread
    from jan_core.testing.wired import one_module

    how = dict(told["how"])
    root, model = Path(how.pop("root")), how.pop("model")
    jan = one_module(root, **how, model=None if model is None else ModelLocation.model_validate(model))
    async with jan, client(jan) as http:
        for thread in told["threads"]:
            await jan.threads.put(Thread.model_validate(thread))
        replies = [await http.get(path) for path in told["get"]]
        return [(reply.status_code, json.loads(reply.content)) for reply in replies]


def main() -> int:
    """Answer what standard input asks; what went wrong in a line, on standard error."""
    told = json.loads(sys.stdin.buffer.read())
    sys.path[:] = told["path"]
    try:
        found = asyncio.run(answers(told))
    except Exception as error:  # whatever an author's module does
        print(f"{type(error).__name__}: {'; '.join(str(error).splitlines())}", file=sys.stderr)
        return 1
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
