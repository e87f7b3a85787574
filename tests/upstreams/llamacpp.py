"""llama.cpp's own HTTP server as an upstream, all as it comes, with the real model.

    python -m tests.upstreams.llamacpp PORT '{"path": …, "context": …, "slots": …, "threads": …, "embedding": false,
    "cache": true}'

It prints its address, and ends when stdin does. One that makes vectors writes no answers.
"""

from __future__ import annotations

import json
import sys
import threading

import xllamacpp

from tests.benchmarks.references.lifetime import follow_stdin

ALIAS = "smollm2"
"""The model's id."""


def main() -> None:
    """Load the model, print the address, and serve until stdin ends."""
    follow_stdin()
    given = json.loads(sys.argv[2])
    params = xllamacpp.CommonParams()
    params.model.path = given["path"]
    params.model_alias = {ALIAS}
    params.n_parallel = given["slots"]
    params.n_ctx = given["context"] * given["slots"]
    params.n_gpu_layers = 0
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = given["threads"]
    params.port = int(sys.argv[1])
    if not given.get("cache", True):
        # A prompt that is partly in a cache is read in other portions, and may get another answer.
        params.cache_prompt = False
        params.cache_ram_mib = 0
    if given.get("embedding"):
        params.embedding = True
        params.kv_unified = True
        params.n_batch = params.n_ubatch = given["context"] * given["slots"]
        params.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
    server = xllamacpp.Server(params)
    print(server.listening_address, flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main()
