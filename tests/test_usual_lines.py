from __future__ import annotations

import random

import pytest
from pydantic import TypeAdapter
from pydantic_core import from_json

from jan_core.lines import line_of
from jan_core.schemas.messages import Message
from jan_core.testing.contract import hostile
from jan_core.usual_lines import NAMES, usual_messages

MANY = TypeAdapter(list[Message])
USUAL = {
    "id": "msg_1",
    "created_at": 5,
    "thread_id": "t",
    "role": "user",
    "content": [{"type": "text", "text": {"value": "a"}}],
}


def line(**changes: object) -> bytes:
    return line_of(Message, {**USUAL, **changes})


def said(text: str) -> list[dict[str, object]]:
    return [{"type": "text", "text": {"value": text}}]


def test_usual_messages_are_told_by_their_fields() -> None:
    rows = usual_messages([line(), line(id="msg_2", assistant_id="jan", completed_at=6, metadata={"a": "b"})])
    assert rows is not None
    first, second = (dict(zip(NAMES, row, strict=True)) for row in rows)
    assert (first["id"], first["assistant_id"], first["completed_at"], first["metadata"]) == (b"msg_1", b"", b"", b"{}")
    assert (second["assistant_id"], second["completed_at"], second["metadata"]) == (b"jan", b"6", b'{"a":"b"}')
    assert second["content"] == b'[{"type":"text","text":{"value":"a","annotations":[]}}]'


@pytest.mark.parametrize("text", [*hostile.TEXTS, *map(chr, range(128)), "".join(map(chr, range(0x3000)))])
def test_every_text_is_usual(text: str) -> None:
    rows = usual_messages([line(content=said(text), metadata={text[:64]: text[:512]})])
    assert rows is not None
    found = dict(zip(NAMES, rows[0], strict=True))
    assert from_json(found["content"])[0]["text"]["value"] == text
    assert from_json(found["metadata"]) == {text[:64]: text[:512]}


def test_what_is_told_is_a_message_in_its_one_form() -> None:
    """Lines with bytes changed, taken out and doubled: whatever is told as usual is what `line_of` makes."""
    chance = random.Random(7)
    start = line(content=said('a\\"\n\x01\u00e9\0b'), metadata={"k\t": "v"}, run_id="run_1", completed_at=70)
    told = 0
    for _ in range(30_000):
        changed = bytearray(start)
        for _ in range(chance.randrange(1, 3)):
            place = chance.randrange(len(changed))
            byte = chance.choice((chance.randrange(256), *b'\\"{}[],:0nu\n'))
            changed[place : place + chance.randrange(2)] = bytes([byte]) * chance.randrange(3)
        found = bytes(changed)
        if usual_messages([found]) is not None:
            told += 1
            assert MANY.dump_json(MANY.validate_json(b"[%b]" % found)) == b"[%b]" % found
    assert told > 1000


@pytest.mark.parametrize(
    "other",
    [
        line(by_hand=True),
        line(content=[]),
        line(assistant_id=""),
        line(assistant_id="a\0"),
        line(metadata={"a": "b", "c": "d"}),
        line(attachments=[{"file_id": "f"}]),
        line() + b"\n",
        b"",
        line().replace(b'"a"', b'"\xff"'),
        line().replace(b'"a"', b'"\xed\xa0\x80"'),
        line().replace(b'"a"', b'"\\ud800"'),
        line().replace(b":5,", b":05,"),
        line().replace(b":5,", b":999999999999,"),
    ],
)
def test_others_are_not_told(other: bytes) -> None:
    assert usual_messages([line(), other]) is None
    assert usual_messages([line(), other + b"\n" + line(), b""]) is None
