"""`GET /v1/models` under load, against a bare Starlette route; and a hand edit while it lasts."""

from __future__ import annotations

import json
from pathlib import Path

import gguf
import numpy as np

from tests.benchmarks.client import Connection, get
from tests.benchmarks.common import Bench, Row
from tests.benchmarks.load import Load, finish_load, load, start_load, told
from tests.benchmarks.processes import Server, jan_serve, reference, serving

ABOUT = "GET /v1/models with five models, against a bare Starlette route; a hand edit during the load"
MODELS = 5
SECONDS = 1.0
PAIRS = 16
_ASKED = get("/v1/models")


def run(bench: Bench) -> list[Row]:
    """The rate, with the edit as a condition of it."""
    root = bench.folder / "root"
    for number in range(MODELS):
        _make(root / "models" / f"model-{number}")
    loads: dict[str, list[Load]] = {"jan": [], "bare": []}
    with serving(jan_serve(root), bench.folder / "jan.log") as jan:
        connection = Connection(jan.port)
        listing = connection.ask(_ASKED)
        connection.close()
        if len(json.loads(listing)["data"]) != MODELS:
            raise RuntimeError(f"not {MODELS} models: {listing!r}")
        same = bench.folder / "listing.json"
        same.write_bytes(listing)
        with serving(reference("bare", str(same)), bench.folder / "bare.log") as bare:

            def measured(name: str, server: Server) -> float:
                found = load(server, _ASKED, seconds=SECONDS)
                loads[name].append(found)
                return found.rate

            load(jan, _ASKED), load(bare, _ASKED)
            pairs = bench.pairs(lambda _: measured("jan", jan), lambda _: measured("bare", bare), PAIRS)
        broken = _edit(bench, jan, root / "models" / "model-3" / "model.json")
    if sum(one.limited_by_client for one in loads["bare"]) > len(loads["bare"]) / 2:
        broken = broken or "the client was slower than the bare server, so the ratio says nothing"
    row = pairs.row(
        "GET /v1/models, requests/s, ratio to a bare route",
        0.35,
        unit="/s",
        broken=broken,
        remark=told(loads["jan"], loads["bare"]),
    )
    return [row]


def _edit(bench: Bench, jan: Server, path: Path) -> str:
    """Edit a model's file again and again while a load lasts; returns what was wrong with a next reply, if anything."""
    process = start_load(jan, seconds=SECONDS)
    assert process.stdin is not None
    process.stdin.write(_ASKED)
    process.stdin.close()
    process.stdin = None
    edits = 0
    connection = Connection(jan.port)
    while process.poll() is None:
        edits += 1
        owner = f"owner-{edits}"
        path.write_text(json.dumps({"owned_by": owner}))
        owners = {model["id"]: model["owned_by"] for model in json.loads(connection.ask(_ASKED))["data"]}
        if owners["model-3"] != owner:
            process.kill()
            process.communicate()
            return f"after hand edit {edits} the next reply still said {owners['model-3']!r}"
    connection.close()
    rate = finish_load(process).rate
    bench.say(f"{edits} hand edits under load, each in the next reply; {rate:.0f} requests/s meanwhile")
    return ""


def _make(folder: Path) -> None:
    """A small valid GGUF and its description."""
    folder.mkdir(parents=True)
    writer = gguf.GGUFWriter(folder / "weights.Q8_0.gguf", "llama")
    writer.add_block_count(2)
    writer.add_context_length(256)
    writer.add_embedding_length(64)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)
    writer.add_token_list([f"token {number}" for number in range(50)])
    writer.add_token_scores([0.5] * 50)
    writer.add_tensor("blk.0.weight", np.ones((4, 64), dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    (folder / "model.json").write_text(json.dumps({"owned_by": "owner"}))
