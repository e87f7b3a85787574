from __future__ import annotations

import json
import random

import pytest

from jan_core.folder.elements import EMPTY, joined, scan

A, B, C = b'{"id":"a","n":1}', b'{"id":"b","n":[1,{"x":null}]}', '{"id":"c","text":"ä \\n \U0001f600"}'.encode()
ALL = [A, B, C]


def test_the_layout() -> None:
    assert joined(ALL) == b"[\n" + A + b",\n" + B + b",\n" + C + b"\n]\n"
    assert joined([]) == EMPTY
    assert json.loads(joined(ALL)) == [json.loads(one) for one in ALL]
    found = scan(joined(ALL))
    assert (found.elements, found.lines, found.fault) == (ALL, [2, 3, 4], None)


def pretty(**options: object) -> bytes:
    return json.dumps([json.loads(one) for one in ALL], **options).encode()  # type: ignore[arg-type]


LAYOUTS = {
    "pretty": pretty(indent=2),
    "one line": pretty(),
    "no spaces": b"[" + b",".join(ALL) + b"]",
    "no final newline": joined(ALL)[:-1],
    "byte order mark": b"\xef\xbb\xbf" + joined(ALL),
    "windows": joined(ALL).replace(b"\n", b"\r\n"),
    "pretty windows": b"\xef\xbb\xbf" + pretty(indent=4, ensure_ascii=False).replace(b"\n", b"\r\n"),
    "utf-16": joined(ALL).decode().encode("utf-16"),
    "blank lines": joined(ALL).replace(b"\n", b"\n\n  \t"),
    "carriage return": joined(ALL).replace(b"\n", b"\r"),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_any_layout_is_read(layout: str) -> None:
    found = scan(LAYOUTS[layout])
    assert found.fault is None
    assert [json.loads(one) for one in found.elements] == [json.loads(one) for one in ALL]
    assert not any(b"\n" in one or b"\r" in one for one in found.elements)


@pytest.mark.parametrize("data", [b"", b"  \r\n", b"[]", b"[\n]\n", b" [ ] ", b"\xef\xbb\xbf", b"\xef\xbb\xbf[]"])
def test_nothing_is_an_empty_list(data: bytes) -> None:
    assert (scan(data).elements, scan(data).fault, scan(data).broken_off) == ([], None, False)


def test_what_stands_in_an_element_stays_as_it_is() -> None:
    odd = rb'{ "id" : "a", "f": 1.10, "e": 1E+05, "b": 12345678901234567890123456789, "d": 1, "d": 2, "u":"\u00e4\/" }'
    for data in (b"[" + odd + b"]", b"[\n" + odd + b"\n]\n", b"[\n " + odd + b" \n]"):
        assert scan(data).elements == [odd]
    spread = b'[{\n "id": "a b",\n\t"f": 1.10, "s": "x\\"  y\\\\",\r\n "l": [ 1,\n 2 ]\n}]'
    assert scan(spread).elements == [b'{"id":"a b","f":1.10,"s":"x\\"  y\\\\","l":[1,2]}']


def test_elements_that_are_no_objects_are_kept() -> None:
    found = scan(b'[1, "x", null, [2], {"id":"a"}]')
    assert (found.elements, found.fault) == ([b"1", b'"x"', b"null", b"[2]", b'{"id":"a"}'], None)


@pytest.mark.parametrize(
    ("data", "elements", "line"),
    [
        (b"{}", [], 1),
        (b"\n\nnonsense", [], 3),
        (b"\x00" * 50, [], 1),
        (b"[" + A, [A], 1),
        (b"[\n" + A + b",\n]\n", [A], 3),
        (b"[\n" + A + b"\n" + B + b"\n]\n", [A, B], 3),
        (b"[\n" + A + b",\n" + B[:-1] + b",\n" + C + b"\n]\n", [A, C], 3),
        (b"[\n" + A + b",\n" + B.replace(b"null", b"\xff") + b",\n" + C + b"\n]\n", [A, C], 3),
        (b"[\n" + A + b'\n,{"s":"\xff"},\n' + C + b"\n]\n", [A, C], 3),
        (A + b"\n" + B + b"\n", [A, B], 1),
        (joined(ALL) + joined(ALL), ALL, 6),
        (b"[" * 100_000, [], 1),
        (b"[\n" + A + b",\n12", [A], 3),
        (b"[\n" + A + b',\n\n"id":"b"}\n]\n', [A], 4),
        (b'[{"id":"a"', [], 1),
        (b'[{"id":"' + b"x" * 1000, [], 1),
    ],
)
def test_of_a_broken_one_what_is_whole_is_found(data: bytes, elements: list[bytes], line: int) -> None:
    found = scan(data)
    assert found.elements == elements
    assert found.fault is not None
    assert found.fault_line == line
    assert len(found.lines) == len(elements)


def test_a_list_that_breaks_off_anywhere() -> None:
    whole = joined(ALL)
    for cut in range(len(whole) - 1):
        found = scan(whole[:cut])
        assert found.elements == [one for one, end in zip(ALL, ends(), strict=True) if end <= cut]
        if cut and cut != len(whole) - 1:
            assert found.fault is not None
        assert found.broken_off == (cut >= ends()[0])


def ends() -> list[int]:
    return [len(b"[\n" + b",\n".join(ALL[: count + 1])) for count in range(len(ALL))]


def test_only_the_end_of_an_own_list_counts_as_broken_off() -> None:
    old = joined(ALL)
    assert scan(old + b'"id":"d"}\n]\n').broken_off
    assert scan(old[:-3] + b",\n" + b"\x00" * 40 + b'"}\n]\n').broken_off
    assert scan(old[:-3] + b',\n{"id":"d' + b"\x00" * 99).broken_off
    assert not scan(old + old).broken_off
    assert not scan(old[:-3] + b',\n{"id":"d"\n,"n":1').broken_off
    assert not scan(LAYOUTS["pretty"][:-5]).broken_off
    assert not scan(old[:-3] + b",\n" + B[:-1] + b",\n" + C + b"\n]\n").broken_off
    assert not scan(old).broken_off


def test_scanning_again_what_was_written_changes_nothing() -> None:
    chance = random.Random(7)
    for _ in range(2000):
        data = bytearray(chance.choice([*LAYOUTS.values(), joined(ALL)]))
        for _ in range(chance.randrange(4)):
            place = chance.randrange(len(data))
            data[place : place + chance.randrange(3)] = chance.choice(
                [b"", b"\n", b"]", b"}", b'"', b"\xff", b",", b"\x00"]
            )
        found = scan(bytes(data))
        again = scan(joined(found.elements))
        assert (again.elements, again.fault) == (found.elements, None)
        json.loads(joined(found.elements))
