"""llama.cpp's own HTTP server, with the model, context, slots and threads that Jan gives its worker.

    python -m tests.benchmarks.references.llamacpp '{"path": …, "context": …, "slots": …, "threads": …,
    "gpu_layers": …}' [socket]

Everything else is llama.cpp's default. With `socket`, it listens on that Unix socket instead of a TCP port.
"""

from __future__ import annotations

import json
import sys
import threading

import xllamacpp

from tests.benchmarks.references.lifetime import follow_stdin


def main() -> None:
    """Load the model, print the address, and serve until stdin ends."""
    follow_stdin()
    given = json.loads(sys.argv[1])
    params = xllamacpp.CommonParams()
    params.model.path = given["path"]
    params.n_parallel = given["slots"]
    params.n_ctx = given["context"] * given["slots"]
    params.n_gpu_layers = given["gpu_layers"]
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = given["threads"]
    if len(sys.argv) > 2:
        params.hostnames = [sys.argv[2]]
    else:
        params.port = 0
    server = xllamacpp.Server(params)
    print(sys.argv[2] if len(sys.argv) > 2 else server.listening_address, flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main()
