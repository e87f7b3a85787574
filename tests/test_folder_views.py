from __future__ import annotations

import json
import os
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from jan_core.folder.calls import DISK
from jan_core.folder.elements import EMPTY, TAIL, joined, scan
from jan_core.folder.views import BLOCK, WINDOW, Astray, Element, LinesView, ListView, ScannedView, blocks, parsed


def names(values: dict[str, Any]) -> list[str]:
    return [values["id"]] if isinstance(values.get("id"), str) else []


def one(number: int, size: int) -> bytes:
    return json.dumps({"id": f"msg_{number}", "text": "x" * size}, separators=(",", ":")).encode()


@contextmanager
def lines_view(path: Path, data: bytes, read: Callable[[int, int, int], bytes] = DISK.read) -> Iterator[LinesView]:
    """A view whose index is the text itself."""
    path.write_bytes(data)
    descriptor = DISK.open(path)

    def places(name: str, anew: bool) -> list[int]:
        found = data.find(b'{"id":"%b"' % name.encode())
        return [] if found < 0 else [found]

    try:
        yield LinesView(descriptor, len(data), names, places, lambda name: False, read)
    finally:
        DISK.close(descriptor)


def raws(elements: Iterator[Element]) -> list[bytes]:
    return [element.raw for element in elements]


SIZES = [[10], [10] * 3, [200] * 500, [WINDOW - 30] * 4, [10, 3 * BLOCK, 10, WINDOW, 0, 5 * WINDOW, 1], [BLOCK] * 5]


@pytest.mark.parametrize("sizes", SIZES, ids=lambda sizes: f"{len(sizes)} up to {max(sizes)}")
def test_both_views_say_the_same(tmp_path: Path, sizes: list[int]) -> None:
    elements = [one(number, size) for number, size in enumerate(sizes)]
    data = joined(elements)
    with lines_view(tmp_path / "a", data) as lines:
        whole = ScannedView(scan(data), names)
        for view in (lines, whole):
            check(view, elements)


def check(view: ListView, elements: list[bytes]) -> None:
    assert raws(view.newest_first()) == elements[::-1]
    assert raws(view.oldest_first()) == elements
    for number in random.Random(3).sample(range(len(elements)), min(40, len(elements))):
        found = view.find(f"msg_{number}")
        assert found is not None
        assert found.raw == elements[number]
        assert raws(islice(view.newest_first(found), 30)) == elements[:number][::-1][:30]
        assert raws(islice(view.oldest_first(found), 30)) == elements[number + 1 :][:30]
        assert view.line(found) == number + 2
        holding = (b'"msg_%d"' % number,)
        assert elements[number] in raws(view.newest_first(holding=holding))
        assert elements[number] in raws(view.oldest_first(holding=holding))
        view.check(found)
    assert view.find("msg_none") is None
    places = [element.place for element in view.oldest_first()]
    assert places == sorted(set(places))
    assert [element.place for element in view.newest_first()] == places[::-1]


def test_random_lists(tmp_path: Path) -> None:
    chance = random.Random(11)
    for _ in range(60):
        sizes = [int(chance.paretovariate(0.5)) % (2 * BLOCK) for _ in range(chance.randrange(1, 60))]
        elements = [one(number, size) for number, size in enumerate(sizes)]
        with lines_view(tmp_path / "a", joined(elements)) as view:
            check(view, elements)


def test_the_newest_are_read_without_the_rest(tmp_path: Path) -> None:
    asked: list[int] = []

    def read(descriptor: int, size: int, offset: int) -> bytes:
        asked.append(size)
        return DISK.read(descriptor, size, offset)

    elements = [one(number, 400) for number in range(20_000)]
    with lines_view(tmp_path / "a", joined(elements), read) as view:
        assert raws(islice(view.newest_first(), 20)) == elements[::-1][:20]
        assert sum(asked) <= WINDOW + 2
        asked.clear()
        assert raws(islice(view.oldest_first(), 20)) == elements[:20]
        found = view.find("msg_10000")
        assert raws(islice(view.newest_first(found), 20)) == elements[:10_000][::-1][:20]
        assert sum(asked) <= 4 * WINDOW


def test_blocks_without_what_is_looked_for_are_passed_over(tmp_path: Path) -> None:
    elements = [one(number, 400) for number in range(20_000)]
    with lines_view(tmp_path / "a", joined(elements)) as view:
        for in_order in (view.newest_first, view.oldest_first):
            found = raws(in_order(holding=(b'"msg_7000"', b'"msg_19999"')))
            assert {elements[7000], elements[19_999]} <= set(found)
            assert len(found) < 3000


A, B = one(1, 5), one(2, 5)


@pytest.mark.parametrize(
    "data",
    [
        EMPTY,
        b"",
        b"[]",
        b"[\n" + A + b",\n" + B + b"\n]",
        b"\xef\xbb\xbf" + joined([A, B]),
        joined([A, B]).replace(b"\n", b"\r\n"),
        json.dumps([json.loads(A), json.loads(B)], indent=1).encode() + b"\n",
        joined([A, B]) + B[1:] + b"\n]\n",
        b"[\n" + A + b",\n" + B[1:] + b"\n]\n",
        b"[\n" + A + b"\n" + B + b"\n]\n",
        b"[\n" + A + b",\n" + B[:-3] + b"\x00\x00}\n]\n",
        b"[\n" + A + b",\n{" + b"\x00" * 50,
        b"[\n" + A + b",\n]\n",
        b"[\n" + A + b",\n1\n]\n",
        b"{\n" + A + b"\n]\n",
    ],
)
def test_another_layout_is_noticed_wherever_it_is_looked_at_first(tmp_path: Path, data: bytes) -> None:
    looks: list[Callable[[LinesView], object]] = [
        lambda view: next(view.newest_first(), None),
        lambda view: next(view.oldest_first(), None),
        lambda view: view.find("msg_1"),
    ]
    for look in looks:
        with pytest.raises(Astray), lines_view(tmp_path / "a", data) as view:
            look(view)


@pytest.mark.parametrize("sizes", SIZES, ids=lambda sizes: f"{len(sizes)} up to {max(sizes)}")
def test_the_newest_as_one_text(tmp_path: Path, sizes: list[int]) -> None:
    elements = [one(number, size) for number, size in enumerate(sizes)]
    data = joined(elements)
    with lines_view(tmp_path / "a", data) as view:
        for count in (1, 2, 3, 21, 1000):
            text = view.newest(count)
            wanted = elements[-count:]
            if len(b",\n".join(wanted)) + len(TAIL) < WINDOW or len(data) <= WINDOW:
                assert text == (b",\n".join(wanted), count >= len(elements))
            else:
                assert text is None  # more than is read at first
    assert ScannedView(scan(data), names).newest(1) is None


def test_another_layout_further_in_is_noticed_when_it_is_come_to(tmp_path: Path) -> None:
    spread = json.dumps(json.loads(A), indent=1).encode()
    with lines_view(tmp_path / "a", joined([spread, B, B])) as view:
        assert raws(islice(view.newest_first(), 2)) == [B, B]
        with pytest.raises(Astray):
            raws(view.newest_first())
        with pytest.raises(Astray):
            raws(view.oldest_first())
        with pytest.raises(Astray):
            view.check(Element(2, b'{"id":"a'))


def test_a_file_that_became_shorter_is_noticed(tmp_path: Path) -> None:
    elements = [one(number, 400) for number in range(1000)]
    with lines_view(tmp_path / "a", joined(elements)) as view:
        os.truncate(tmp_path / "a", 5000)
        with pytest.raises(Astray):
            raws(view.oldest_first())


def test_what_was_added_since_is_looked_at_anew(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(joined([A, B]))
    descriptor = DISK.open(tmp_path / "a")
    try:
        view = LinesView(
            descriptor, len(joined([A])), names, lambda name, anew: [], lambda name: False, lambda *_: joined([A])
        )
        view._places = lambda name, anew: [len(joined([A]))]
        with pytest.raises(Astray):
            view.find("msg_2")
    finally:
        DISK.close(descriptor)


def test_a_place_that_is_another_elements_is_passed_over(tmp_path: Path) -> None:
    asked: list[bool] = []

    def places(name: str, anew: bool) -> list[int]:
        asked.append(anew)
        return [2, 2 + len(A) + 2] if anew else [2]

    (tmp_path / "a").write_bytes(joined([A, B]))
    descriptor = DISK.open(tmp_path / "a")
    try:
        view = LinesView(descriptor, len(joined([A, B])), names, places, lambda name: False)
        assert view.find("msg_2", thorough=False) is None
        assert view.find("msg_2") == Element(2 + len(A) + 2, B)
        assert asked == [False, False, True]
    finally:
        DISK.close(descriptor)


def test_blocks_go_through_every_line() -> None:
    elements = [one(number, number % 900) for number in range(3000)]
    data = joined(elements)
    found: list[bytes] = []
    for place, lines in blocks(lambda start, end: data[start:end], 2, len(data) - 3):
        assert data[place:].startswith(lines[0])
        found += lines
    assert found == elements


@pytest.mark.parametrize("raw", [b"", b"1", b"[]", b'{"a":', b'{"a":1}}', b'{"a":"\xff"}', b'{"a":"\x00"}'])
def test_what_is_no_object_is_no_element(raw: bytes) -> None:
    with pytest.raises(Astray):
        parsed(raw)
