from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from jan_core.folder.names import is_name
from jan_core.importing.messages import read_messages
from jan_core.importing.reading import Unreadable
from jan_core.schemas.messages import Message
from tests.foreign import OLD_THREAD, PIXEL, lines, said, write


def read(folder: Path, *messages: Any) -> tuple[list[Message], list[str], list[str]]:
    """What becomes of a `messages.jsonl`: messages, problems, notes."""
    write(folder / "messages.jsonl", lines(*messages))
    problems: list[Unreadable] = []
    notes: list[str] = []
    found = read_messages(folder, OLD_THREAD, {"jan": "jan", "org/a": "org-a"}, problems, notes)
    return found, [f"{one.path.name}:{one.line}: {one.why}" for one in problems], notes


def texts(message: Message) -> list[str]:
    return [part.text.value for part in message.content if part.type == "text"]


def test_a_conversation_of_an_older_app(tmp_path: Path) -> None:
    asked, answer = said("user", "Hello", 1, assistant_id="jan"), said("assistant", "Hi", 2, assistant_id="org/a")
    found, problems, notes = read(tmp_path, asked, answer)
    assert (problems, notes) == ([], [])
    assert [(one.role, texts(one), one.assistant_id) for one in found] == [
        ("user", ["Hello"], None),
        ("assistant", ["Hi"], "org-a"),
    ]
    first = found[0]
    assert (first.id, first.thread_id, first.created_at) == (asked["id"], OLD_THREAD, 1_700_000_001)
    assert (first.status, first.completed_at, first.incomplete_details) == ("completed", 1_700_000_001, None)


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        ("ready", None),
        ("completed", None),
        (None, None),
        ("stopped", "run_cancelled"),
        ("error", "run_failed"),
        ("pending", "run_expired"),
        ("in_progress", "run_expired"),
    ],
)
def test_an_answer_that_was_never_finished(tmp_path: Path, status: str | None, reason: str | None) -> None:
    asked, answer = read(tmp_path, said("user", "a", 1, status=status), said("assistant", "b", 2, status=status))[0]
    assert asked.status == "completed"
    assert answer.status == ("completed" if reason is None else "incomplete")
    assert (answer.incomplete_details and answer.incomplete_details.reason) == reason
    assert (answer.incomplete_at is None) == (answer.completed_at is not None)


def test_every_kind_of_part(tmp_path: Path) -> None:
    write(tmp_path / "files" / "m.png", PIXEL)
    parts = [
        "plain",
        {"type": "reasoning", "text": {"value": " Hm. "}},
        {"type": "text", "text": "as text"},
        {"type": "image", "text": {"value": "look", "annotations": ["threads/x/files/m.png"]}},
        {"type": "pdf", "text": {"value": "read", "annotations": ["threads/x/files/m.pdf"]}},
        {"type": "image_url", "image_url": {"url": "https://x/y.png", "detail": "huge"}},
        {"type": "image_url", "image_url": "https://x/z.png"},
        {"type": "image_url", "image_url": {}},
        {"type": "image_file", "image_file": {"file_id": "file-1", "detail": "low", "more": 1}},
        {"type": "refusal", "refusal": "No."},
        {"type": "tool_call", "tool_name": "map", "input": {"x": 1}},
        {"type": "hologram", "x": 1},
        7,
    ]
    found, problems, notes = read(tmp_path, said("assistant", "", 1, content=parts))
    assert problems == []
    (message,) = found
    assert [part.type for part in message.content] == [
        *("text", "text", "text", "image_url", "text", "image_url", "image_url", "image_file", "refusal"),
        *("text", "text"),
    ]
    assert texts(message) == [
        *("plain", "<think>\nHm.\n</think>\n\nas text", "look", "read", '[map] {"input": {"x": 1}}'),
        '{"type": "hologram", "x": 1}',
    ]
    shown = message.model_dump(mode="json")["content"]
    assert shown[3]["image_url"]["url"].startswith("data:image/png;base64,")
    assert shown[5]["image_url"] == {"url": "https://x/y.png"}
    assert shown[7]["image_file"] == {"file_id": "file-1", "detail": "low"}
    assert notes == [
        "a file of a message was left out: only its text is here",
        "an image was left out: it has no address",
        "a part of an unknown kind became text",
        "a part of a message was left out: it is no object",
    ]


@pytest.mark.parametrize(("content", "expected"), [("hi", ["hi"]), (None, []), ([], []), (3, [])])
def test_content_of_other_forms(tmp_path: Path, content: object, expected: list[str]) -> None:
    (message,), _, _ = read(tmp_path, said("user", "", 1, content=content))
    assert texts(message) == expected


def test_a_thought_without_an_answer(tmp_path: Path) -> None:
    (message,), _, _ = read(
        tmp_path, said("assistant", "", 1, content=[{"type": "reasoning", "text": {"value": "Hm"}}])
    )
    assert texts(message) == ["<think>\nHm\n</think>"]


def test_damaged_lines_are_named_and_cost_only_themselves(tmp_path: Path) -> None:
    found, problems, _ = read(
        tmp_path,
        said("user", "a", 1),
        '{"id": "torn',
        said("system", "b", 2),
        said("user", "c", 3, attachments=[{"file_id": 7}]),
        "[]",
    )
    assert [texts(one) for one in found] == [["a"], ["c"]]
    assert problems == [
        "messages.jsonl:2: Unterminated string starting at",
        'messages.jsonl:3: the role "system" is not one of the API (user, assistant)',
        "messages.jsonl:5: there is an array where an object {…} belongs",
    ]


def test_ids_are_kept_or_made_the_same_each_time(tmp_path: Path) -> None:
    messages = [
        said("user", "a", 1, id="0"),
        said("user", "b", 2, id=None),
        said("user", "c", 3, id="../x"),
        said("user", "d", 4, id=9),
    ]
    found, _, _ = read(tmp_path, *messages)
    ids = [one.id for one in found]
    assert ids[0] == "0"
    assert all(is_name(one) for one in ids)
    assert len(set(ids)) == 4
    assert [one.id for one in read(tmp_path, *messages)[0]] == ids


def test_of_several_versions_the_last_counts(tmp_path: Path) -> None:
    found, _, notes = read(tmp_path, said("user", "a", 1), said("user", "b", 2), said("user", "A", 1))
    assert [texts(one) for one in found] == [["A"], ["b"]]
    assert notes == ["a message was there in several versions: the last one counts"]
    assert read(tmp_path, said("user", "a", 1), said("user", "a", 1))[2] == []


def test_a_message_without_a_time_comes_after_the_one_before(tmp_path: Path) -> None:
    found, _, notes = read(tmp_path, said("user", "a", 1), said("user", "b", 2, created=None, updated=None))
    assert found[1].created_at == found[0].created_at
    assert notes == ["a message had no time: it got that of the one before it"]


def test_who_said_it_stands_in_the_metadata_of_newer_apps(tmp_path: Path) -> None:
    metadata = {"assistant": {"id": "org/a", "instructions": "x" * 999}, "tokenSpeed": 1.5, "usage": {"n": 1}}
    (message,), _, notes = read(tmp_path, said("assistant", "a", 1, metadata=metadata))
    assert (message.assistant_id, message.metadata) == ("org-a", {"tokenSpeed": "1.5", "usage": '{"n": 1}'})
    assert notes == []


def test_messages_in_our_own_format(tmp_path: Path) -> None:
    original = Message(
        id="msg_1", created_at=5, thread_id=OLD_THREAD, role="assistant", content=[], run_id="run_1", completed_at=6
    ).model_dump(mode="json")
    original["content"] = [{"type": "text", "text": {"value": "a", "annotations": []}}]
    original["attachments"] = [{"file_id": "file-1", "tools": [{"type": "file_search"}]}]
    write(tmp_path / "messages.json", [original])
    write(tmp_path / "messages.jsonl", "damaged")  # the newer file counts
    found = read_messages(tmp_path, OLD_THREAD, {}, [], [])
    assert [one.model_dump(mode="json") for one in found] == [original]


def test_no_messages(tmp_path: Path) -> None:
    assert read_messages(tmp_path, OLD_THREAD, {}, [], []) == []
