"""Files that a person, an editor or another program changed, broke or removed under the running app."""

from __future__ import annotations

import json
import os
import random
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults.conversation import Opened, check_files

pytestmark = pytest.mark.faults

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="links and pipes as on POSIX")


class Edited:
    """An app on a root with some threads; the files of one of them are changed, and nothing else may suffer."""

    def __init__(self, app: Opened, root: Path) -> None:
        self.app = app
        self.root = root
        self.others = [self.make(f"other {number}") for number in range(3)]
        self.other_messages = [app.all(f"/threads/{one['id']}/messages") for one in self.others]
        self.assistant = app.post("/assistants", {"model": "m", "name": "other"})

    def make(self, title: str) -> Any:
        body = {"title": title, "messages": [{"role": "user", "content": f"{title} {number}"} for number in range(4)]}
        return self.app.post("/threads", body)

    def folder(self, thread: Any) -> Path:
        return self.root / "threads" / thread["id"]

    def texts(self, thread: Any) -> list[str]:
        messages = self.app.all(f"/threads/{thread['id']}/messages")
        return [one["content"][0]["text"]["value"] for one in messages]

    def append(self, thread: Any, text: str = "new") -> Any:
        return self.app.post(f"/threads/{thread['id']}/messages", {"role": "user", "content": text})

    def check_others(self) -> None:
        """Nothing else is hidden or altered."""
        threads = self.app.all("/threads")
        assert [one for one in threads if one in self.others] == self.others
        for one, messages in zip(self.others, self.other_messages, strict=True):
            assert self.app.all(f"/threads/{one['id']}/messages") == messages
        assert self.assistant in self.app.all("/assistants")


@pytest.fixture
def edited(work: Path) -> Iterator[Edited]:
    with Opened(work / "root") as app:
        made = Edited(app, work / "root")
        yield made
        made.check_others()


def values(raw: bytes) -> Any:
    return json.loads(raw.decode("utf-8-sig"))


LAYOUTS: dict[str, Callable[[bytes], bytes]] = {
    "pretty-printed": lambda raw: json.dumps(values(raw), indent=4).encode(),
    "sorted and pretty-printed": lambda raw: json.dumps(values(raw), indent=2, sort_keys=True).encode() + b"\n",
    "on one line": lambda raw: json.dumps(values(raw)).encode(),
    "with a BOM": lambda raw: b"\xef\xbb\xbf" + raw,
    "with CRLF": lambda raw: raw.replace(b"\n", b"\r\n"),
    "with CRLF and a BOM, pretty-printed": lambda raw: (
        b"\xef\xbb\xbf" + json.dumps(values(raw), indent="\t").replace("\n", "\r\n").encode()
    ),
    "without the last line end": lambda raw: raw.rstrip(b"\n"),
    "with more line ends": lambda raw: b"\n\n" + raw + b"\n\n\n",
    "a word corrected": lambda raw: raw.replace(b"mine 2", b"mine 7"),
    "a line moved": lambda raw: json.dumps(values(raw)[::-1]).encode(),
    "with a field of one's own": lambda raw: raw.replace(b'{"id":', b'{"mine":{"a":[1]},"id":', 1),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_messages_saved_in_another_layout_are_all_shown_at_once_and_stay(edited: Edited, layout: str) -> None:
    thread = edited.make("mine")
    path = edited.folder(thread) / "messages.json"
    for _ in range(3):
        changed = LAYOUTS[layout](path.read_bytes())
        path.write_bytes(changed)
        expected = [one["content"][0]["text"]["value"] for one in values(changed)]
        assert edited.texts(thread) == expected
        assert path.read_bytes() == changed, "reading rewrote what a person had formatted"
        made = edited.append(thread)
        assert edited.texts(thread) == [*expected, "new"]
        edited.app.post(f"/threads/{thread['id']}/messages/{made['id']}", {"metadata": {"a": "b"}})
        edited.app.delete(f"/threads/{thread['id']}/messages/{made['id']}")
        assert edited.texts(thread) == expected
        check_files(edited.root)
        own = [one for one in values(path.read_bytes()) if "mine" in one]
        assert bool(own) == (layout == "with a field of one's own"), "a person's own field was lost"


def test_messages_cut_anywhere_keep_what_is_whole_and_take_more(edited: Edited, full_counts: bool) -> None:
    thread = edited.make("cut")
    path = edited.folder(thread) / "messages.json"
    whole = path.read_bytes()
    lines = whole.split(b"\n")
    ends = [len(b"\n".join(lines[: number + 1]).rstrip(b",")) for number in range(1, 5)]
    places = range(len(whole)) if full_counts else sorted(random.Random(3).sample(range(len(whole)), 60))
    for place in [0, 1, 2, *[end + near for end in ends for near in (-1, 0, 1, 2)], *places]:
        path.write_bytes(whole[:place])
        kept = sum(place >= end for end in ends)
        assert edited.texts(thread) == [f"cut {number}" for number in range(kept)], place
        edited.append(thread)
        assert edited.texts(thread) == [*[f"cut {number}" for number in range(kept)], "new"], place
        check_files(edited.root)
    copies = list(path.parent.glob("messages.json.broken-*"))
    assert copies, "nothing was kept of what was broken"
    print(
        f"\nmessages.json cut at {len(places)} places: each time what was whole was shown, and the next append worked"
    )


BROKEN: dict[str, tuple[Callable[[bytes], bytes], list[int]]] = {
    "emptied": (lambda raw: b"", []),
    "only line ends": (lambda raw: b"\n\n", []),
    "[]": (lambda raw: b"[]", []),
    "zeros": (lambda raw: bytes(len(raw)), []),
    "zeros behind": (lambda raw: raw + bytes(4096), [0, 1, 2, 3]),
    "no JSON": (lambda raw: b"Dear diary", []),
    "an object": (lambda raw: b'{"data": []}', []),
    "null": (lambda raw: b"null", []),
    "a comma too many": (lambda raw: raw.replace(b"}\n]", b"},\n]"), [0, 1, 2, 3]),
    "a comma too few": (lambda raw: raw.replace(b"},\n", b"}\n", 1), [0, 1, 2, 3]),
    "a quote too few in the middle": (lambda raw: raw.replace(b'"hurt 1"', b'"hurt 1'), [0, 2, 3]),
    "no UTF-8 in the middle": (lambda raw: raw.replace(b"hurt 1", b"hurt \xff"), [0, 2, 3]),
    "an element that is none": (lambda raw: raw.replace(b"[\n", b"[\n7,\n", 1), [0, 1, 2, 3]),
    "NaN": (lambda raw: raw.replace(b'"metadata":{}', b'"metadata":NaN', 1), [1, 2, 3]),
    "deep": (lambda raw: raw.replace(b'"metadata":{}', b'"metadata":' + b"[" * 5000 + b"]" * 5000, 1), [1, 2, 3]),
    "a conflict mark of a version control": (
        lambda raw: raw.replace(b'{"id"', b'<<<<<<< mine\n{"id"', 1),
        [0, 1, 2, 3],
    ),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_broken_messages_cost_themselves_only(edited: Edited, kind: str) -> None:
    thread = edited.make("hurt")
    path = edited.folder(thread) / "messages.json"
    breaks, kept = BROKEN[kind]
    broken = breaks(path.read_bytes())
    path.write_bytes(broken)
    expected = [f"hurt {number}" for number in kept]
    assert edited.texts(thread) == expected
    edited.check_others()
    edited.append(thread)
    assert edited.texts(thread) == [*expected, "new"]
    if kind != "NaN":  # A person's own line is left as it is, and other readers of JSON take it.
        check_files(edited.root)
    kept_copies = [one.read_bytes() for one in path.parent.glob("messages.json.broken-*")]
    if len(kept) < 4 and broken.strip() and broken != b"[]":
        there = [*kept_copies, path.read_bytes()]
        assert broken in there or broken[:50] in path.read_bytes(), "what was broken is lost"


def test_messages_removed_under_the_app(edited: Edited) -> None:
    thread = edited.make("gone")
    path = edited.folder(thread) / "messages.json"
    path.unlink()
    assert edited.texts(thread) == []
    edited.append(thread)
    assert edited.texts(thread) == ["new"]
    shutil.rmtree(edited.folder(thread))
    messages = f"/threads/{thread['id']}/messages"
    assert edited.app.ask("GET", messages).status_code == 404
    assert edited.app.ask("POST", messages, {"role": "user", "content": "x"}).status_code == 404
    assert thread not in edited.app.all("/threads")


@POSIX
def test_what_is_no_file_in_the_place_of_one(edited: Edited) -> None:
    for put in (os.mkdir, os.mkfifo, lambda path: os.symlink(path, path)):
        for name in ("messages.json", "thread.json", "model.json"):
            thread = edited.make("odd")
            path = edited.folder(thread) / name
            path.unlink(missing_ok=True)
            put(path)
            for method, rest, body in (
                ("GET", "", None),
                ("GET", "/messages", None),
                ("POST", "/messages", {"role": "user", "content": "x"}),
                ("POST", "", {"title": "x", "model": "x"}),
            ):
                reply = edited.app.ask(method, f"/threads/{thread['id']}{rest}", body)
                assert reply.status_code in (200, 400, 404, 503), (name, method, rest, reply.text)
            edited.check_others()


@pytest.mark.parametrize("kind", ["emptied", "no JSON", "null", "cut", "no id", "wrong types", "zeros"])
def test_broken_objects_hide_nothing_else_and_say_where(edited: Edited, kind: str) -> None:
    thread = edited.make("hurt")
    assistant = edited.app.post("/assistants", {"model": "m", "name": "hurt"})
    files = {
        f"/threads/{thread['id']}": edited.folder(thread) / "thread.json",
        f"/assistants/{assistant['id']}": edited.root / "assistants" / assistant["id"] / "assistant.json",
    }
    for route, path in files.items():
        raw = path.read_bytes()
        path.write_bytes(
            {
                "emptied": b"",
                "no JSON": b"{oops",
                "null": b"null",
                "cut": raw[: len(raw) // 2],
                "no id": b"{}",
                "wrong types": json.dumps({**json.loads(raw), "created_at": "yesterday", "metadata": 7}).encode(),
                "zeros": bytes(len(raw)),
            }[kind]
        )
        assert json.loads(raw)["id"] not in [one["id"] for one in edited.app.all("/" + route.split("/")[1])]
        for method, body in (("GET", None), ("POST", {"metadata": {}})):
            reply = edited.app.ask(method, route, body)
            assert reply.status_code == 400, reply.text
            assert reply.json()["error"]["code"] == "damaged_file", reply.text
            assert path.name in reply.json()["error"]["message"]
            assert "line" in reply.json()["error"]["message"]
        edited.check_others()
        path.write_bytes(raw)
        assert edited.app.get(route)["id"] == json.loads(raw)["id"]


STRAY = (".DS_Store", "Thumbs.db", "desktop.ini", ".tmp-0123456789abcdef", "messages.json~", "#x#", "ß", "a b")


@POSIX
def test_stray_files_hide_nothing(edited: Edited) -> None:
    thread = edited.make("stray")
    for folder in (edited.root, edited.root / "threads", edited.root / "assistants", edited.folder(thread)):
        for name in STRAY:
            (folder / name).write_bytes(b"\x00\x01stray")
        (folder / "half copied").mkdir()
        (folder / "half-copied").mkdir()
        (folder / "half-copied" / "messages.json").write_bytes(b"[\n{")
        (folder / "loop").symlink_to("loop")
        (folder / "nowhere").symlink_to("/nonexistent/x")
        os.mkfifo(folder / "pipe")
        os.makedirs(folder / os.fsdecode(b"\xff\xfe"))
    edited.check_others()
    assert edited.texts(thread) == [f"stray {number}" for number in range(4)]
    edited.append(thread)
    edited.app.delete(f"/threads/{thread['id']}")
    edited.app.settle()
    assert edited.app.ask("GET", f"/threads/{thread['id']}").status_code == 404
    edited.make("after")


@POSIX
def test_a_thread_that_is_a_link_out_of_the_root_is_not_written_to(edited: Edited, work: Path) -> None:
    source = edited.make("linked")
    outside = work / "outside"
    shutil.move(edited.folder(source), outside)
    os.symlink(outside, edited.folder(source))
    before = {path.name: path.read_bytes() for path in outside.iterdir()}
    path = f"/threads/{source['id']}"
    message = edited.app.all(f"{path}/messages")[0]["id"]
    for method, rest, body in (
        ("POST", "/messages", {"role": "user", "content": "x"}),
        ("POST", f"/messages/{message}", {"metadata": {"a": "b"}}),
        ("DELETE", f"/messages/{message}", None),
        ("POST", "", {"title": "x"}),
        ("POST", "", {"model": "x"}),
    ):
        reply = edited.app.ask(method, path + rest, body)
        assert reply.status_code == 400, (method, rest, reply.text)
        assert reply.json()["error"]["code"] == "outside_root"
    edited.app.ask("DELETE", path)
    edited.app.settle()
    assert {one.name: one.read_bytes() for one in outside.iterdir()} == before
