"""Every crash of a few requests: recorded once, then looked at in every state that the disk may be left in."""

from __future__ import annotations

import asyncio
import hashlib
import re
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.faults.conversation import Kept, Opened, Seen, Step, check_files, good
from tests.faults.disk import Answered, Began, Disk, Event, Flushed, Tree
from tests.faults.recorder import BEFORE, Recorder

SETTINGS = ("model", "parameters")
"""The fields of a thread that are kept in its `model.json`."""
ROOT = "home/root"
"""Where the root is in the folder that is watched."""


class Lost(AssertionError):
    """After a crash, something is not as it must be."""


@dataclass
class Record:
    """Requests, and what they did.

    Attributes:
        events: what they did to the disk.
        seen: what a client could see before the first, and after each.
        kept: what was asked under a key by the first, by the first two, and so on.
        append: the setting under which they ran.
    """

    events: list[Event]
    seen: list[Seen]
    kept: list[list[Kept]]
    append: str = "in-place"

    def without(self, site: str) -> Record:
        """The same, as if the code at `site` never flushed."""
        events = [one for one in self.events if not (isinstance(one, Flushed) and line_of(one.site) == site)]
        return Record(events, self.seen, self.kept, self.append)

    def sites(self) -> list[str]:
        """The lines of code that flush something."""
        found = [line_of(one.site) for one in self.events if isinstance(one, Flushed)]
        return [one for one in dict.fromkeys(found) if one != BEFORE]


def line_of(site: str) -> str:
    """The function and the line alone, whoever called it."""
    return " > ".join(site.split(" > ")[-2:])


@dataclass
class Figures:
    """How many states were looked at, and of how many different kinds they were."""

    points: int = 0
    states: int = 0
    different: int = 0
    known: set[bytes] = field(default_factory=set, repr=False)

    def __str__(self) -> str:
        return f"{self.states} states at {self.points} points, {self.different} of them different"


@dataclass(frozen=True)
class Crash:
    """The power goes.

    Attributes:
        place: in the record, for people.
        tree: what the disk holds.
        allowed: what a client may see.
        kept: what was answered under a key, and may have been.
    """

    place: str
    tree: Tree
    allowed: list[Seen]
    kept: list[Kept]


def record(recorder: Recorder, steps: Sequence[Step], *, append: str = "in-place", fresh: bool = False) -> Record:
    """Let requests happen one after the other, and see what they do.

    Args:
        recorder: watches the folder that holds the root; what is there counts as flushed.
        steps: the requests.
        append: the setting of `messages-json`.
        fresh: the start of the app, too, is something that happens, and the first.
    """
    root = Path(recorder.folder) / ROOT
    recorder.look_again()
    kept: list[list[Kept]] = [[]]
    if fresh:
        recorder.began(0)
    with Opened(root, append) as app:
        found = [app.seen()]
        app.settle()
        if not fresh:
            recorder.look_again()
        for number, step in enumerate(steps, 1):
            recorder.began(number)
            step(app)
            recorder.answered(number)
            found.append(app.seen())
            kept.append(list(app.kept))
        app.settle()
    check_whole(recorder)
    return Record(list(recorder.events), found, kept, append)


def check_whole(recorder: Recorder) -> None:
    """Fail where something reached the disk by other ways than the calls that are watched."""
    disk = Disk()
    for event in recorder.events:
        disk.add(event)
    there: dict[str, bytes | None] = {}
    for path in Path(recorder.folder).rglob("*"):
        shown = path.relative_to(recorder.folder).as_posix()
        if "/.locks/" not in shown:
            there[shown] = None if path.is_dir() else path.read_bytes()
    said = dict(disk.everything())
    assert there.keys() == said.keys(), f"made or removed behind the calls: {there.keys() ^ said.keys()}"
    assert there == said, f"written behind the calls: {[path for path in said if there[path] != said[path]]}"


def crashes(record: Record, most: int) -> Iterator[Crash]:
    """Every crash, at every point of a record.

    Args:
        record: what happened.
        most: states that one point may leave, at most.
    """
    disk, answered, began = Disk(), 0, -1
    for place, event in enumerate(record.events):
        disk.add(event)
        match event:
            case Began(number=number):
                began = number
            case Answered(number=number):
                answered = number
        if began >= 0:
            last = max(began, answered)
            allowed, kept = record.seen[answered : last + 1], record.kept[last]
            if len(allowed) == 2:
                allowed = [*allowed, *_halves(*allowed)]
            for tree in disk.states(most):
                yield Crash(f"after event {place}, {event}"[:300], tree, allowed, kept)


def recoveries(recorder: Recorder, crash: Crash, append: str, most: int) -> Iterator[Crash]:
    """Every crash while a crash is recovered from.

    Args:
        recorder: watches a folder whose content is of no use any more.
        crash: the first one.
        append: the setting of `messages-json`.
        most: states that one point may leave, at most.
    """
    folder = Path(recorder.folder)
    shutil.rmtree(folder)
    lay(crash.tree, folder)
    recorder.look_again()
    start = len(recorder.events)
    with Opened(folder / ROOT, append) as app:
        app.seen()
        app.settle()
    disk = Disk()
    for place, event in enumerate(recorder.events):
        disk.add(event)
        if place >= start:
            for tree in disk.states(most):
                yield Crash(f"{crash.place}; in recovery after {event}"[:600], tree, crash.allowed, crash.kept)


def check(
    record: Record, work: Path, *, most: int, figures: Figures | None = None, at: Iterable[Crash] | None = None
) -> Figures:
    """Look at the states that crashes leave.

    Args:
        record: what happened.
        work: a folder to work in.
        most: states at each point, at most.
        figures: counts on.
        at: the crashes to look at, where not all.

    Raises:
        Lost: something acknowledged is not there, something is altered, or a file is broken.
    """
    figures = figures or Figures()
    place = ""
    with asyncio.Runner() as runner:
        for crash in crashes(record, most) if at is None else at:
            figures.points += crash.place != place
            place = crash.place
            figures.states += 1
            what = key(crash)
            if what in figures.known:
                continue
            figures.known.add(what)
            figures.different += 1
            folder = work / f"{figures.different}"
            lay(crash.tree, folder)
            try:
                survived(folder / ROOT, crash, record.append, runner)
            except AssertionError as error:
                raise Lost(f"{crash.place}\n{shown(crash.tree)}\n{error}") from error
            shutil.rmtree(folder)
    return figures


def survived(root: Path, crash: Crash, append: str, runner: asyncio.Runner | None = None) -> None:
    """Fail unless everything is there, all files are whole, and the next requests work."""
    with Opened(root, append, runner=runner) as app:
        found = app.seen()
        allowed = [_timeless(one) for one in crash.allowed]
        assert _timeless(found) in allowed, differences(_timeless(found), allowed)
        app.settle()
        check_files(root)
        for thread in found["threads"]:
            path = f"/threads/{thread['id']}/messages"
            new = app.post(path, {"role": "user", "content": "after the crash"})
            after = app.all(path)
            assert after == [*found[thread["id"]], new], after
        before = app.all("/threads")
        assert before == found["threads"], f"the second look shows {before}"
        new = app.post("/threads", {"metadata": {"after": "the crash"}})
        assert app.all("/threads") == [*before, new]
        for method, path, body, key, reply in crash.kept:
            answered = reply["id"] in repr(found)
            again = [good(app.ask(method, path, body, key=key)) for _ in range(2)]
            assert again[0] == again[1], f"one key, two replies: {again}"
            if answered:
                assert again[0] == reply, f"under a key, {again[0]} instead of {reply}"
        if crash.kept:
            check_once(app)
        check_files(root)


def check_once(app: Opened) -> None:
    """Fail where there are two of what was asked for under a key: those carry `once` in their metadata."""
    seen = app.seen()
    marks = [one["metadata"]["once"] for many in seen.values() for one in many if "once" in one["metadata"]]
    if len(marks) > len(set(marks)):
        raise Lost(f"made twice under one key: {sorted(marks)}")


def half(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """A thread of which the settings changed, and not yet the rest.

    They lie in a file of their own, so a change of both that was not answered may be there in part.
    """
    rest = {name: value for name, value in before.items() if name not in SETTINGS}
    return {**rest, **{name: value for name, value in after.items() if name in SETTINGS}}


def _halves(before: Seen, after: Seen) -> list[Seen]:
    there = {one["id"]: one for one in after["threads"]}
    threads = [half(one, there.get(one["id"], one)) for one in before["threads"]]
    return [] if threads in (before["threads"], after["threads"]) else [{**before, "threads": threads}]


def _timeless(seen: Seen) -> Seen:
    """Without the time at which the default assistant was made: where it was lost, it is made anew."""
    assistants = [{**one, "created_at": 0} if one["id"] == "jan" else one for one in seen["assistants"]]
    return {**seen, "assistants": sorted(assistants, key=lambda one: str(one["id"]))}


def differences(found: Seen, allowed: Sequence[Seen]) -> str:
    """What is other than it must be, for a failed test's message."""
    lines = []
    for number, one in enumerate(allowed):
        for name in {**one, **found}:
            there, wanted = found.get(name, []), one.get(name, [])
            lines += [f"not as in {number}: {name}: {value}" for value in there if value not in wanted]
            lines += [f"missing of {number}: {name}: {value}" for value in wanted if value not in there]
    return "\n".join(lines) or "another order"


def lay(tree: Tree, folder: Path) -> None:
    """Put a disk's content into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for path, content in tree.items():
        target = folder / path
        if content is None:
            target.mkdir(exist_ok=True)
        else:
            target.write_bytes(content)


def shown(tree: Tree) -> str:
    """A disk's content, for a failed test's message."""
    lines = []
    for path, content in tree.items():
        text = "/"
        if content is not None:
            text = f": {content!r}" if len(content) < 300 else f": {content[:100]!r} … {content[-150:]!r}"
        lines.append(f"{path}{text}")
    return "\n".join(lines)


def key(crash: Crash) -> bytes:
    """The same for crashes that leave the same. The names of unfinished files are of chance, and tell nothing."""
    digest = hashlib.sha256(repr([id(one) for one in crash.allowed[:2]]).encode())
    pieces = [(_CHANCE.sub("", path), content) for path, content in crash.tree.items()]
    for path, content in sorted(pieces, key=lambda piece: piece[0]):
        digest.update(f"\0{path}\0{content is None}\0".encode())
        digest.update(content or b"")
    return digest.digest()


_CHANCE = re.compile(r"(?<=\.tmp-)[0-9a-f]+")
