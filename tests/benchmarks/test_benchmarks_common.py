from __future__ import annotations

import importlib
import json
import math
import os
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.benchmarks.__main__ import FIGURES, TOLD_ONLY
from tests.benchmarks.client import BadReply, Connection, Streamed, body_end, get, stream
from tests.benchmarks.common import HEADER, Bench, Pairs, Row, interleave, percentile, quartiles, shown, table
from tests.benchmarks.embeddings import differs
from tests.benchmarks.processes import NotStarted, Server, calling, cpu_seconds, python, reference, serving
from tests.benchmarks.stream import together
from tests.benchmarks.streams import Reading


def test_pairs_are_taken_in_turns_and_kept_together() -> None:
    order: list[str] = []

    def measure(side: str) -> Callable[[int], float]:
        def take(number: int) -> float:
            order.append(f"{side}{number}")
            return number + (1 if side == "jan" else 2)

        return take

    said: list[str] = []
    pairs = interleave(3, measure("jan"), measure("ref"), said.append)
    assert order == ["jan0", "ref0", "ref1", "jan1", "jan2", "ref2"]
    assert pairs == Pairs([1, 2, 3], [2, 3, 4])
    assert len(said) == 3


def test_the_figure_is_the_median_of_the_pairs_and_not_a_ratio_of_medians() -> None:
    pairs = Pairs([10, 1, 30], [10, 2, 20])
    assert pairs.ratios() == [1, 0.5, 1.5]
    row = pairs.row("x", 0.9, unit="/s", remark="warm")
    assert (row.value, row.low, row.high, row.unit) == (1, 0.75, 1.25, "")
    assert row.of == "3 pairs; Jan 10.0/s, reference 10.0/s; warm"
    difference = pairs.row("x", 3, unit=" ms", ratio=False, at_least=False)
    assert (difference.value, difference.unit, difference.passed) == (0, " ms", True)


@pytest.mark.parametrize(
    ("value", "threshold", "at_least", "passed"),
    [
        (0.9, 0.9, True, True),
        (0.899, 0.9, True, False),
        (2.5, 2.5, False, True),
        (2.51, 2.5, False, False),
        (7.0, None, True, True),
        (math.nan, 0.9, True, False),
        (math.nan, 2.5, False, False),
        (math.nan, None, True, False),
    ],
)
def test_thresholds_have_a_direction(value: float, threshold: float | None, at_least: bool, passed: bool) -> None:
    assert Row("x", value, 0, 1, threshold, at_least=at_least).passed is passed


def test_what_is_broken_fails_whatever_it_measured() -> None:
    row = Row("x", 5, 5, 5, 0.9, broken="the client was slow")
    assert not row.passed
    assert row.verdict == "BROKEN: the client was slow"


def test_the_table_has_a_line_a_row_in_columns() -> None:
    rows = [Row("speed", 0.5, 0.4, 0.6, 0.9), Row("start", 40, 30, 50, 250, " ms", at_least=False, of="3 pairs")]
    header, rule, first, second = table(rows).split("\n")
    assert [header[header.index(name) :].split()[0] for name in HEADER] == list(HEADER)
    assert set(rule) == {"-", " "}
    assert first.split() == ["speed", "0.500", "0.400", "to", "0.600", ">=", "0.900", "MISSED"]
    assert second.split() == ["start", "40.0", "ms", "30.0", "to", "50.0,", "3", "pairs", "<=", "250", "ms", "ok"]
    assert first.index(">=") == second.index("<=") == header.index("threshold")


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0.97312, "0.973"),
        (2.5, "2.50"),
        (17312.4, "17312"),
        (-3.456, "-3.46"),
        (0, "0"),
        (math.nan, "nan"),
        (99.96, "100.0"),
    ],
)
def test_numbers_show_three_figures(number: float, text: str) -> None:
    assert shown(number) == text


def test_percentiles_are_values_that_were_measured() -> None:
    values = [float(number) for number in range(200, 0, -1)]
    assert percentile(values, 99) == 198
    assert percentile(values, 50) == 100
    assert percentile(values, 100) == 200
    assert percentile([7], 1) == 7
    with pytest.raises(ValueError, match="0 values"):
        percentile([], 99)
    with pytest.raises(ValueError, match="percentile 0"):
        percentile([1], 0)


def test_quartiles_of_one_value_and_of_many() -> None:
    assert quartiles([3]) == (3, 3)
    assert quartiles([1, 2, 3, 4, 5]) == (2, 4)


def test_a_quick_look_takes_fewer_pairs_but_never_more() -> None:
    assert Bench(True, Path(), "x").count(30) == 3
    assert Bench(True, Path(), "x").count(2) == 2
    assert Bench(False, Path(), "x").count() == 10


def test_cpu_time_is_read_behind_a_name_with_brackets_and_blanks() -> None:
    rest = "S 1 2 3 4 5 6 7 8 9 10 250 50 0 0 20"
    assert cpu_seconds(f"77 (a) b (c) {rest}", 100) == 3.0


def test_memory_and_cpu_of_this_process_are_found() -> None:
    own = Server(os.getpid(), 0)
    before = own.cpu()
    block = b"x" * (64 << 20)
    assert own.resident() > 64
    assert before <= own.cpu()
    assert len(block) == 64 << 20


def test_a_reply_ends_where_its_length_says() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\nx: y"
    assert body_end(head) is None
    assert body_end(head + b"\r\n\r\n") == len(head) + 4 + 12
    with pytest.raises(BadReply):
        body_end(b"HTTP/1.1 200 OK\r\nx: y\r\n\r\n")


def test_events_are_counted_however_they_arrive() -> None:
    data = b'data: {"content":""}\n\n' + b"".join(b'data: {"content":"word%d "}\n\n' % number for number in range(9))

    class Ended:
        def done(self) -> bool:
            return True

    for size in (1, 7, 15, 16, 17, len(data)):
        reading = Reading(b"", 10, Ended())  # type: ignore[arg-type]
        for at in range(0, len(data), size):
            reading.data_received(data[at : at + size])
        assert len(reading.arrived) == 9, size


def test_delays_count_from_the_sending_and_rates_from_the_first_event() -> None:
    reading = Reading(b"", 3, None)  # type: ignore[arg-type]
    reading.sent = 100.0
    reading.arrived = [100.01, 100.03, 100.09]
    assert reading.delays() == pytest.approx([0.01, 0.01, 0.05])
    assert reading.share() == pytest.approx(0.5)


@contextmanager
def answering(*pieces: bytes) -> Iterator[int]:
    """A server that sends each connection the same pieces, then closes it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(1 << 16)
                    for piece in pieces:
                        connection.sendall(piece)

        thread = threading.Thread(target=answer)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
    thread.join()


HEAD = b"HTTP/1.1 200 OK\r\n\r\n"
OPENING = b'data: {"choices":[{"delta":{"role":"assistant","content":""}}]}\n\n'
TEXT = b'data: {"choices":[{"delta":{"content":"Hel"}}]}\n\n'
USAGE = b'data: {"usage":{"completion_tokens":7,"prompt_tokens":3}}\n\n'


def test_a_stream_is_read_to_its_end() -> None:
    with answering(HEAD + OPENING, TEXT[:30], TEXT[30:], USAGE, b"data: [DO", b"NE]\n\n") as port:
        first, second = stream(port, [get("/")] * 2)
    for found in (first, second):
        assert found.tokens == 7
        assert found.sent <= found.first <= found.ended


@pytest.mark.parametrize(
    "pieces",
    [
        (HEAD + OPENING, TEXT),
        (HEAD + OPENING, USAGE, b"data: [DONE]\n\n"),
        (HEAD + TEXT, b"data: [DONE]\n\n"),
        (HEAD + OPENING, b'data: {"error": {"message": "no"}}\n\n'),
    ],
    ids=["ended early", "no text", "no usage", "an error"],
)
def test_a_stream_that_is_no_answer_is_not_measured(pieces: tuple[bytes, ...]) -> None:
    with answering(*pieces) as port, pytest.raises(BadReply):
        stream(port, [get("/")])


def test_a_refusal_is_no_reply() -> None:
    with answering(b"HTTP/1.1 429 Too Many\r\ncontent-length: 2\r\n\r\n{}") as port:
        connection = Connection(port)
        with pytest.raises(BadReply, match="429"):
            connection.ask(get("/"))
        connection.close()


def test_a_reference_serves_and_ends_with_the_with(tmp_path: Path) -> None:
    content = json.dumps({"data": []}).encode()
    (tmp_path / "same.json").write_bytes(content)
    with serving(reference("bare", str(tmp_path / "same.json")), tmp_path / "log") as server:
        connection = Connection(server.port)
        assert connection.ask(get("/v1/models")) == content
        assert connection.ask(get("/v1/models")) == content
        connection.close()
    assert not Path(f"/proc/{server.pid}").exists()


def test_a_server_that_does_not_start_tells_its_last_words(tmp_path: Path) -> None:
    command = python("-c", "raise SystemExit('no such model')")
    with pytest.raises(NotStarted, match="no such model"), serving(command, tmp_path / "log"):
        pass


def test_an_unknown_figure_is_refused() -> None:
    done = subprocess.run(
        python("-m", "tests.benchmarks", "sped"), capture_output=True, text=True, cwd=Path(__file__).parents[2]
    )
    assert done.returncode == 2
    assert "no figure 'sped'" in done.stderr


ECHO = """
import json, sys
print("a library's own words")
print(json.dumps({"loaded": True}), flush=True)
for line in sys.stdin:
    if "leave" in line:
        sys.exit("no more of this")
    print(json.dumps({"heard": json.loads(line)}), flush=True)
"""


def test_a_library_that_is_called_directly_answers_line_by_line(tmp_path: Path) -> None:
    with calling(python("-c", ECHO), tmp_path / "log") as library:
        assert library.ask({"input": ["one"]}) == {"heard": {"input": ["one"]}}
        assert library.ask("two") == {"heard": "two"}
        for _ in range(2):
            with pytest.raises(NotStarted, match="no more of this"):
                library.ask("leave")


def test_a_library_that_does_not_load_tells_its_last_words(tmp_path: Path) -> None:
    command = python("-c", "raise SystemExit('no such library')")
    with pytest.raises(NotStarted, match="no such library"), calling(command, tmp_path / "log"):
        pass


def test_streams_are_measured_together_from_the_first_request_to_the_last_end() -> None:
    found = [Streamed(sent=10, first=11, ended=14, tokens=8), Streamed(sent=11, first=12, ended=15, tokens=8)]
    assert together(found, 8) == 16 / 5
    with pytest.raises(RuntimeError, match=r"\[8, 8\] tokens"):
        together(found, 9)


def test_vectors_that_are_not_the_same_work_are_told() -> None:
    theirs = {"count": 2, "width": 2, "first": [3.0, 4.0]}
    assert differs([[0.6, 0.8], [1.0, 0.0]], theirs) == ""
    assert "1 vectors" in differs([[0.6, 0.8]], theirs)
    assert "cosine 0.960" in differs([[0.8, 0.6], [1.0, 0.0]], theirs)


@pytest.mark.parametrize("name", [*FIGURES, *TOLD_ONLY])
def test_every_figure_says_what_it_is_and_can_be_taken(name: str) -> None:
    figure = importlib.import_module(f"tests.benchmarks.{name}")
    assert len(figure.ABOUT) > 20
    assert callable(figure.run)
