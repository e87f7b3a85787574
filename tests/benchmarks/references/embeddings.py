"""xllamacpp called directly: vectors of texts, with the model and all parameters that Jan gives its worker.

    python -m tests.benchmarks.references.embeddings '{"path": …, "context": …, "slots": …, "batch": …, "threads": …,
    "gpu_layers": …, "pooling": …}'

For each line of stdin, a request as `/v1/embeddings` takes it, it prints a line of JSON: `seconds` that the call took,
`count` and `width` of the vectors, and the `first` of them.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import xllamacpp


def main() -> None:
    """Load the model, say so, and answer lines until stdin ends."""
    server = opened(json.loads(sys.argv[1]))
    print(json.dumps({"loaded": True}), flush=True)
    for line in sys.stdin:
        body = line.strip().encode()
        began = time.monotonic()
        reply = server.handle_embeddings(body)
        seconds = time.monotonic() - began
        found = json.loads(reply) if isinstance(reply, (str, bytes)) else reply
        vectors = [one["embedding"] for one in sorted(found["data"], key=lambda one: one["index"])]
        told = {"seconds": seconds, "count": len(vectors), "width": len(vectors[0]), "first": vectors[0]}
        print(json.dumps(told), flush=True)


def opened(given: dict[str, Any]) -> Any:
    """The library's server object, for vectors."""
    params = xllamacpp.CommonParams()
    params.model.path = given["path"]
    params.n_parallel = given["slots"]
    params.n_ctx = given["context"] * given["slots"]
    params.n_batch = params.n_ubatch = given["batch"]
    params.n_gpu_layers = given["gpu_layers"]
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = given["threads"]
    params.embedding = True
    params.kv_unified = True  # as Jan's worker: a cache for each slot makes wrong vectors in batches
    params.pooling_type = getattr(xllamacpp.llama_pooling_type, f"LLAMA_POOLING_TYPE_{given['pooling'].upper()}")
    params.port = 0
    params.verbosity = 1
    return xllamacpp.Server(params)


if __name__ == "__main__":
    main()
