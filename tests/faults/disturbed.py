"""One file call of a few requests is where a process ends, a disk is full, or a flush fails; then things go on."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest

from jan_core.errors import Conflict, JanError
from tests.faults.conversation import Opened, Refused, Seen, check_files
from tests.faults.crashes import ROOT, Figures, Lost, check_once, differences, half, lay
from tests.faults.disk import Disk, Flushed
from tests.faults.recorder import Killed, Recorder
from tests.faults.scenarios import Ids, Scenario, message

How = Literal["killed", "killed halfway", "full", "full halfway", "failed"]
"""What happens at the call: the process ends, before it or in the midst of a write; the disk is full from then on,
until the request is answered; the call fails, and none after it."""


class Setting:
    """A scenario, prepared once and played as often as wanted.

    Args:
        scenario: one that is not fresh.
        work: an empty folder.
        patch: takes everything back.
    """

    def __init__(self, scenario: Scenario, work: Path, patch: pytest.MonkeyPatch) -> None:
        self.scenario = scenario
        self.ids = Ids()
        self.patch = patch
        self._work = work
        self._plays = 0
        with Opened(work / "before" / ROOT, scenario.append) as app:
            scenario.before(app, self.ids)

    def play(self, hook: Callable[[Recorder], Any] | None = None, *, without: str = "") -> Play:
        """Play it, with what `hook` puts into the way of the calls, and as if the code at `without` never flushed."""
        self._plays += 1
        folder = self._work / str(self._plays)
        shutil.copytree(self._work / "before", folder)
        ids = Ids()
        ids.__dict__.update(self.ids.__dict__, messages=list(self.ids.messages))
        with self.patch.context() as patch:
            recorder = Recorder(folder, patch)
            play = Play(self.scenario, ids, recorder, without)
            play.run(hook)
        shutil.rmtree(folder)
        return play


@dataclass
class Play:
    """One play of a scenario.

    Attributes:
        outcomes: of its requests: answered, refused, or killed.
        calls: how many file calls they made.
        figures: of the power cuts after it.
    """

    scenario: Scenario
    ids: Ids
    recorder: Recorder
    without: str = ""
    outcomes: list[str] = field(default_factory=list)
    calls: int = 0
    again: Any = None
    figures: Figures = field(default_factory=Figures)

    def run(self, hook: Callable[[Recorder], Any] | None) -> None:
        """Let the requests happen, then another one; then restart, and cut the power.

        Raises:
            Lost: something that was acknowledged is not there.
        """
        root = Path(self.recorder.folder) / ROOT
        app = Opened(root, self.scenario.append)
        app.__enter__()
        before = app.seen()
        app.settle()
        self.recorder.look_again()
        self.recorder.calls = 0
        doubtful: tuple[Seen, Seen] = (before, before)
        again = None
        for step in self.scenario.bound(self.ids):
            outcome = self._try(app, step, hook)
            self.outcomes.append(outcome)
            self.calls = self.recorder.calls
            if outcome == "killed":
                app.abandon()
                self.recorder.close_all()
                self.recorder.dead = False
                app = Opened(root, self.scenario.append)
                app.__enter__()
            found = app.seen()
            if outcome != "answered":
                doubtful, again = (before, found), step
                self._check_step(before, found)
                break  # What follows may need what this one did not do.
            before = found
        if again is not None and "once" in again.__defaults__[0].__name__:
            # A client that has a key tries again, and what is then answered must last.
            again(app)
            self.again = again
            doubtful = (app.seen(), app.seen())
        check_once(app)
        middle = app.seen()
        first = len(self.recorder.events)
        for thread in middle["threads"]:
            app.post(f"/threads/{thread['id']}/messages", message("afterwards"))
        app.post("/threads", {"title": "afterwards"})
        live = app.seen()
        app.settle()
        app.__exit__(None, None, None)
        with Opened(root, self.scenario.append) as app:
            seen = app.seen()
            if seen != live:
                raise Lost(f"after a restart:\n{differences(seen, [live])}")
            app.settle()
            check_files(root)
        self._cut_power(root, first, doubtful, middle)
        self._cut_power(root, len(self.recorder.events), doubtful, live)

    def _try(self, app: Opened, step: Any, hook: Callable[[Recorder], Any] | None) -> str:
        self.recorder.before = hook(self.recorder) if hook is not None else None
        try:
            step(app)
            app.settle(lambda: self.recorder.dead)
            if self.recorder.dead:
                return "killed"
        except (Refused, JanError) as error:
            if isinstance(error, Refused):
                check_refusal(error)
            # A deletion whose rest failed is still under way, and its thread cannot be put again yet.
            elif error.status < 500 and not isinstance(error, Conflict):
                raise
            return "refused"
        except BaseException:
            if not self.recorder.dead:
                raise
            return "killed"
        finally:
            self.recorder.before = None
        return "answered"

    def _check_step(self, before: Seen, found: Seen) -> None:
        """What one request may have done that was not answered: it made, changed or deleted one thing."""
        was, now = flat(before), flat(found)
        changed = [key for key in was.keys() | now.keys() if was.get(key) != now.get(key)]
        things = {key[1] if key[0] == "message" else key[0] for key in changed}
        if len(things) > 2:
            raise Lost(f"one request did this:\n{differences(found, [before])}")

    def _cut_power(self, root: Path, place: int, doubtful: tuple[Seen, Seen], live: Seen) -> None:
        """Everything that was acknowledged is there after a power cut, and what was not is as before or as after."""
        disk = Disk()
        for event in self.recorder.events[:place]:
            if not (isinstance(event, Flushed) and self.without and event.site.endswith(self.without)):
                disk.add(event)
        allowed = {key: [value] for key, value in flat(live).items()}
        was, now = map(flat, doubtful)
        for key in was.keys() | now.keys():
            if was.get(key) != now.get(key):
                allowed[key] = [was.get(key), now.get(key), *allowed.get(key, [None])]
                if key[0] == "thread" and key in was and key in now:
                    allowed[key].append(half(was[key], now[key]))
        order = list(flat(live))
        for tree in disk.states(12):
            self.figures.states += 1
            folder = Path(self.recorder.folder).with_name("cut")
            lay(tree, folder)
            with Opened(folder / ROOT, self.scenario.append) as app:
                seen = flat(app.seen())
                for key, values in allowed.items():
                    if seen.get(key) not in values:
                        raise Lost(f"after a power cut: {key} is {seen.get(key)}, not one of {values}\n{sorted(tree)}")
                # What was refused, and undone without that being flushed, may be there again.
                if len(more := seen.keys() - allowed.keys()) > ("refused" in self.outcomes):
                    raise Lost(f"after a power cut there is more: {more}")
                if [key for key in seen if key in order] != [key for key in order if key in seen]:
                    raise Lost("after a power cut the order is another")
                app.settle()
                check_files(folder / ROOT)
                if self.again is not None:
                    self.again(app)
                    check_once(app)
            shutil.rmtree(folder)


def flat(seen: Seen) -> dict[tuple[str, ...], Any]:
    """What can be seen, object by object."""
    found: dict[tuple[str, ...], Any] = {}
    for name, many in seen.items():
        for one in many:
            is_message = one["object"] == "thread.message"
            found[("message", name, one["id"]) if is_message else (one["object"], one["id"])] = one
    return found


def check_refusal(error: Refused) -> None:
    """Fail unless a reply is the error that a failing disk must become."""
    reply = error.reply
    body = reply.json()["error"]
    assert reply.status_code in (503, 507), reply.text
    assert [*body] == ["message", "type", "param", "code"], body
    assert body["type"] == "server_error", body
    assert body["message"], body


def at(number: int, how: How) -> Callable[[Recorder], Any]:
    """What happens at the call of this number."""
    happened = False

    def hook(recorder: Recorder) -> Any:
        nonlocal happened
        began = recorder.calls

        def before(name: str, now: int, arguments: tuple[Any, ...]) -> None:
            nonlocal happened
            if now < number or (happened and (how == "failed" or number < began)):
                return
            first, happened = not happened, True
            if first and how.endswith("halfway") and name == "write":
                descriptor, data, offset = arguments
                recorder.wrote(descriptor, bytes(data[: len(data) // 2]), offset)
            if how.startswith("killed"):
                recorder.dead = True
                raise Killed
            error = errno.EIO
            if how.startswith("full"):
                error = errno.ENOSPC
                if name not in ("create", "write", "mkdir", "sync", "sync_folder"):
                    return
            raise OSError(error, os.strerror(error))

        return before

    return hook
