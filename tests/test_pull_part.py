from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import NamedTuple

import pytest

from jan_core.pull.errors import PullError
from jan_core.pull.part import SPARE, Digest, Known, Part, check_room, digest

KNOWN = Known("https://somewhere/x.gguf", '"tag"', 12, None)
DATA = b"GGUF and all"


class Told:
    """What a pull told of itself."""

    def __init__(self) -> None:
        self.steps: list[tuple[str, int | None]] = []
        self.bytes = 0

    def start(self, label: str, total: int | None, done: int = 0) -> None:
        self.steps.append((label, total))

    def advance(self, n: int) -> None:
        self.bytes += n

    def note(self, text: str) -> None:
        raise AssertionError(text)


def test_what_is_left_is_taken_up_and_hashed_whole(tmp_path: Path) -> None:
    path, told = tmp_path / "k.part", Told()
    with Part(path) as first:
        first.begin(KNOWN)
        first.add(DATA[:7])
    with Part(path) as second:
        second.load(KNOWN.url, told)
        assert (second.size, second.known, told.bytes) == (7, KNOWN, 7)
        second.add(DATA[7:])
        found = second.finish()
    assert found == Digest(hashlib.sha256(DATA).hexdigest(), 12)
    assert path.read_bytes() == DATA
    second.forget()
    assert sorted(tmp_path.iterdir()) == [path]


class Unusable(NamedTuple):
    url: str = KNOWN.url
    validator: str = KNOWN.validator
    total: int | None = KNOWN.total
    left: bytes = DATA[:7]


@pytest.mark.parametrize(
    "case",
    [
        Unusable(url="https://elsewhere/x.gguf"),
        Unusable(validator=""),
        Unusable(left=b""),
        Unusable(total=5),
    ],
    ids=["another source", "nothing to compare with", "nothing there", "more than the whole"],
)
def test_what_cannot_be_gone_on_with_is_not(tmp_path: Path, case: Unusable) -> None:
    with Part(tmp_path / "k.part") as first:
        first.begin(Known(case.url, case.validator, case.total, None))
        if case.left:
            first.add(case.left)
    with Part(tmp_path / "k.part") as second:
        second.load(KNOWN.url, Told())
        assert (second.size, second.known) == (0, None)


@pytest.mark.parametrize("about", [b"", b"{", b"[]", b'{"url": 1}', b"\xff"])
def test_a_damaged_companion_is_as_good_as_none(tmp_path: Path, about: bytes) -> None:
    (tmp_path / "k.part").write_bytes(DATA)
    (tmp_path / "k.json").write_bytes(about)
    with Part(tmp_path / "k.part") as part:
        part.load(KNOWN.url, Told())
        assert part.size == 0


def test_what_is_no_model_leaves_nothing_behind(tmp_path: Path) -> None:
    with Part(tmp_path / "k.part") as part:
        part.begin(KNOWN)
        part.add(b"<h")
        with pytest.raises(PullError, match="a web page"):
            part.add(b"tml>")
        assert part.size == 0
    assert list(tmp_path.iterdir()) == []


def test_a_digest_is_of_every_byte_and_tells_as_it_goes(tmp_path: Path) -> None:
    path, told = tmp_path / "f", Told()
    path.write_bytes(b"x" * 3_000_000)
    found = digest(path, "Checking f", told)
    assert (found.sha256, found.size) == (hashlib.sha256(b"x" * 3_000_000).hexdigest(), 3_000_000)
    assert (told.steps, told.bytes) == ([("Checking f", 3_000_000)], 3_000_000)


def test_room_is_left_on_the_disk(tmp_path: Path) -> None:
    check_room(tmp_path, 1)
    free = shutil.disk_usage(tmp_path).free
    with pytest.raises(PullError, match=r"Make room, or use another root \(--root\)"):
        check_room(tmp_path, free + SPARE)
