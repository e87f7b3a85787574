from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from jan_core.pull.download import download
from jan_core.pull.errors import PullError
from jan_core.pull.part import Digest, Part
from jan_core.pull.request import Limits
from jan_core.pull.source import Web, parse
from tests.pull_server import GGUF, FileServer, Served, Steps

RIGHT = hashlib.sha256(GGUF).hexdigest()
WRONG = "0" * 64
HURRY = Limits(connect=5.0, stall=5.0, waits=(0.0, 0.0))
GIVE_UP = replace(HURRY, waits=())


@pytest.fixture
def server() -> Iterator[FileServer]:
    with FileServer() as running:
        running.files["/model.gguf"] = Served()
        yield running


@pytest.fixture
def part(tmp_path: Path) -> Part:
    return Part(tmp_path / "x.part")


def fetch(
    server: FileServer, part: Part, *, url: str = "", sha256: str | None = None, limits: Limits = HURRY
) -> tuple[Digest, Steps]:
    steps = Steps()
    web = parse(url or server.url(), {})
    assert isinstance(web, Web)
    with part:
        return download(web, part, sha256=sha256, progress=steps, limits=limits), steps


def again(part: Part) -> Part:
    return Part(part.path)


def leftovers(part: Part) -> list[str]:
    return sorted(path.name for path in part.path.parent.iterdir())


def test_the_whole_file(server: FileServer, part: Part) -> None:
    found, steps = fetch(server, part, sha256=RIGHT)
    assert found == Digest(RIGHT, len(GGUF))
    assert part.path.read_bytes() == GGUF
    assert steps.steps == [("Downloading model.gguf", len(GGUF), 0)]
    assert steps.bytes == len(GGUF)


def test_a_cut_goes_on_by_itself(server: FileServer, part: Part) -> None:
    server.files["/model.gguf"].cuts = [200_000, 100_000]
    found, steps = fetch(server, part)
    assert found == Digest(RIGHT, len(GGUF))
    assert server.ranges() == [None, "bytes=200000-", "bytes=300000-"]
    assert [headers.get("if-range") for _, headers in server.asked] == [None, '"one"', '"one"']
    assert steps.notes == ["The connection was cut; trying again."] * 2


def test_the_next_command_goes_on(server: FileServer, part: Part) -> None:
    server.files["/model.gguf"].cuts = [200_000]
    with pytest.raises(PullError, match=r"The connection was cut\. 200\.0 kB of 512\.0 kB are kept: the same command"):
        fetch(server, part, limits=GIVE_UP)
    found, steps = fetch(server, again(part))
    assert found.sha256 == RIGHT
    assert server.ranges() == [None, "bytes=200000-"]
    assert steps.steps[-1] == ("Downloading model.gguf", len(GGUF), 200_000)


def test_a_finished_part_is_not_asked_for_again(server: FileServer, part: Part) -> None:
    fetch(server, part)
    found, _ = fetch(server, again(part))
    assert found.sha256 == RIGHT
    assert len(server.asked) == 1


def test_a_part_of_another_file_is_not_taken_up(server: FileServer, part: Part) -> None:
    server.files["/model.gguf"].cuts = [200_000]
    with pytest.raises(PullError):
        fetch(server, part, limits=GIVE_UP)
    server.files["/other.gguf"] = Served()
    assert fetch(server, again(part), url=server.url("/other.gguf"))[0].sha256 == RIGHT
    assert server.ranges() == [None, None]


def test_a_server_that_ignores_ranges_starts_over(server: FileServer, part: Part) -> None:
    server.files["/model.gguf"].cuts = [200_000]
    server.files["/model.gguf"].ranges = False
    found, _ = fetch(server, part)
    assert found == Digest(RIGHT, len(GGUF))
    assert part.path.read_bytes() == GGUF


def test_a_server_that_ignores_ranges_and_always_cuts_is_given_up(server: FileServer, part: Part) -> None:
    server.files["/model.gguf"].cuts = [200_000] * 20
    server.files["/model.gguf"].ranges = False
    with pytest.raises(PullError, match="was cut"):
        fetch(server, part)
    assert len(server.asked) == 3  # the first one brought something new, the two after it did not


@pytest.mark.parametrize("obeys_if_range", [True, False])
def test_a_changed_file_starts_over(server: FileServer, part: Part, obeys_if_range: bool) -> None:
    server.files["/model.gguf"].cuts = [200_000]
    with pytest.raises(PullError):
        fetch(server, part, limits=GIVE_UP)
    changed = GGUF[:4] + b"other" * 100_000
    server.files["/model.gguf"] = Served(changed, etag='"two"')
    if not obeys_if_range:
        about = part.path.with_suffix(".json")
        # The server compares If-Range with what it has; this makes it answer 206 for another file than was begun.
        known = json.loads(about.read_text())
        about.write_text(json.dumps({**known, "validator": '"two"', "total": known["total"] + 1}))
    found, _ = fetch(server, again(part))
    assert found.sha256 == hashlib.sha256(changed).hexdigest()
    assert part.path.read_bytes() == changed


def test_without_a_validator_nothing_is_taken_up(server: FileServer, part: Part) -> None:
    server.files["/model.gguf"] = Served(etag=None, cuts=[200_000])
    with pytest.raises(PullError):
        fetch(server, part, limits=GIVE_UP)
    assert fetch(server, again(part))[0].sha256 == RIGHT
    assert server.ranges() == [None, None]


def test_a_weak_etag_is_no_promise_about_bytes(server: FileServer, part: Part) -> None:
    server.files["/model.gguf"] = Served(etag='W/"one"', cuts=[200_000])
    assert fetch(server, part)[0].sha256 == RIGHT
    assert server.ranges() == [None, None]


def test_a_part_beyond_the_end_starts_over(server: FileServer, part: Part) -> None:
    server.files["/model.gguf"].cuts = [200_000]
    with pytest.raises(PullError):
        fetch(server, part, limits=GIVE_UP)
    server.files["/model.gguf"] = Served(status=416, data=b"")
    with pytest.raises(PullError, match="starts over"):
        fetch(server, again(part), limits=GIVE_UP)
    assert leftovers(part) == []


def test_a_wrong_hash_leaves_nothing(server: FileServer, part: Part) -> None:
    with pytest.raises(PullError, match=f"wrong hash and was deleted: SHA-256 {RIGHT}, expected {WRONG}"):
        fetch(server, part, sha256=WRONG)
    assert leftovers(part) == []


def test_a_web_page_is_no_model(server: FileServer, part: Part) -> None:
    server.files["/model.gguf"] = Served(
        b"<!doctype html><title>Sign in</title>" * 9, headers={"Content-Type": "text/html"}
    )
    with pytest.raises(PullError, match="This is a web page"):
        fetch(server, part)
    assert leftovers(part) == []


@pytest.mark.parametrize("data", [b"", b"GGU", b"PK\x03\x04 a zip", b"version https://git-lfs"])
def test_other_bytes_are_no_model(server: FileServer, part: Part, data: bytes) -> None:
    server.files["/model.gguf"] = Served(data)
    with pytest.raises(PullError, match=r"no GGUF file|is empty"):
        fetch(server, part)
    assert leftovers(part) == []


@pytest.mark.parametrize(
    ("status", "says"), [(401, "token"), (403, "not for everybody"), (404, "no such file"), (418, "418")]
)
def test_refusals_are_explained(server: FileServer, part: Part, status: int, says: str) -> None:
    server.files["/model.gguf"] = Served(status=status)
    with pytest.raises(PullError, match=says):
        fetch(server, part)
    assert len(server.asked) == 1
    assert leftovers(part) == []


def test_a_busy_server_is_asked_again(server: FileServer, part: Part) -> None:
    server.files["/model.gguf"] = Served(status=503)
    with pytest.raises(PullError, match="answered 503"):
        fetch(server, part)
    assert len(server.asked) == 3


def test_a_stalled_server_is_left(server: FileServer, part: Part) -> None:
    over = threading.Event()
    server.files["/model.gguf"] = Served(before=lambda: over.wait(30))
    with pytest.raises(PullError, match="did not answer in time"):
        fetch(server, part, limits=Limits(connect=5.0, stall=0.1, waits=()))
    over.set()


def test_nobody_there(server: FileServer, part: Part) -> None:
    with FileServer() as gone:
        url = gone.url()
    with pytest.raises(PullError, match=r"No connection to 127\.0\.0\.1"):
        fetch(server, part, url=url)


def test_a_length_that_nobody_tells_needs_a_hash(server: FileServer, part: Part) -> None:
    server.files["/model.gguf"] = Served(length=False)
    with pytest.raises(PullError, match="Give its --sha256"):
        fetch(server, part)
    assert fetch(server, again(part), sha256=RIGHT)[0].size == len(GGUF)


def test_a_disk_that_is_too_small_is_seen_first(server: FileServer, part: Part) -> None:
    server.files["/model.gguf"] = Served(b"GGUF", headers={"Content-Length": str(10**18)}, length=False)
    with pytest.raises(PullError, match=r"1000000\.0 TB are needed"):
        fetch(server, part)
    assert leftovers(part) == []
