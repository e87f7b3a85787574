"""What the server process has in RAM after it was used."""

from __future__ import annotations

from tests.benchmarks.client import Connection, chat, get, stream
from tests.benchmarks.common import Bench, Row
from tests.benchmarks.processes import MODEL, jan_serve, serving, smollm2

ABOUT = "resident memory of the server after 1,000 listings and 100 chat streams"
LISTINGS = 1000
STREAMS = 100
AT_ONCE = 4


def run(bench: Bench) -> list[Row]:
    """The one figure; the counts are part of it, so a quick look has them too. The worker's memory is the model's."""
    with serving(jan_serve(smollm2()), bench.folder / "jan.log") as jan:
        fresh = jan.resident()
        connection = Connection(jan.port)
        for _ in range(LISTINGS):
            connection.ask(get("/v1/models"))
        connection.close()
        listed = jan.resident()
        bench.say(f"{fresh:.1f} MB after the start, {listed:.1f} MB after {LISTINGS} listings")
        for begun in range(0, STREAMS, AT_ONCE):
            stream(jan.port, [chat(MODEL, f"Say hello, {begun + number}.", 8) for number in range(AT_ONCE)])
        used = jan.resident()
    remark = f"MB at the start and at the end; {listed:.1f} after the listings"
    return [Row("resident memory after use", used, fresh, used, 70, " MB", at_least=False, of=remark)]
