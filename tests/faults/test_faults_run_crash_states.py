"""Every state that a power cut can leave of a run: taken up, nothing that was told is lost, and nothing doubled."""

from __future__ import annotations

import asyncio
import random
import shutil
from pathlib import Path

import pytest
from jan_runs import taking_up

from tests.faults import run_crashes
from tests.faults.crashes import Lost
from tests.faults.recorder import Recorder
from tests.faults.run_askers import FUNCTION
from tests.faults.run_crashes import Play, Record, RunCrash, RunScenario, check, crashes, recorded

pytestmark = pytest.mark.faults

FIRST, LAST = ["Let me ", "look. "], ["It ", "is ", "warm."]
CALL = {"call": [{"name": "f", "arguments": {"a": 1}}]}


def answer(play: Play) -> None:
    play.rested(play.begin({"say": ["one"]}, {"say": LAST}, key="answer"))


def answer_heard(play: Play) -> None:
    play.stream({"say": LAST, "rate": 8})


def tools(play: Play) -> None:
    run = play.rested(play.begin(CALL, tools=[FUNCTION]))
    play.give(run, {"say": LAST})
    play.rested(run["id"])


def says_and_calls(play: Play) -> None:
    run = play.rested(play.begin({"say": FIRST, **CALL}, tools=[FUNCTION]))
    play.give(run, {"say": LAST})
    play.rested(run["id"])


def says_and_calls_heard(play: Play) -> None:
    run = play.rested(play.stream({"say": FIRST, **CALL}, tools=[FUNCTION]))
    play.give(run, {"say": LAST})
    play.rested(run["id"])


def cancel(play: Play) -> None:
    run = play.begin({"say": LAST, "hang": True})
    play.saying()
    play.cancel(run)
    play.rested(run)


def cancel_waiting(play: Play) -> None:
    run = play.rested(play.begin(CALL, tools=[FUNCTION]))
    play.cancel(run["id"])
    play.rested(run["id"])


def delete_thread(play: Play) -> None:
    play.begin({"say": LAST, "hang": True})
    play.saying()
    play.told("deleting")
    play.app.delete(f"/threads/{play.thread}")
    play.told("deleted")


EVERY = [
    RunScenario("answer", ["".join(LAST)], answer),
    RunScenario("answer, heard", ["".join(LAST)], answer_heard),
    RunScenario("tools", ["".join(LAST)], tools),
    RunScenario("says and calls", ["".join(FIRST), "".join(LAST)], says_and_calls),
    RunScenario("says and calls, heard", ["".join(FIRST), "".join(LAST)], says_and_calls_heard),
    RunScenario("cancel", ["".join(LAST)], cancel, hangs=True),
    RunScenario("cancel what waits", ["".join(LAST)], cancel_waiting),
    RunScenario("delete the thread", ["".join(LAST)], delete_thread, hangs=True),
]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seconds in (("PATIENCE", 0.005), ("PAUSE", 0.02)):
        monkeypatch.setattr(taking_up, name, seconds)


def played(scenario: RunScenario, work: Path, patch: pytest.MonkeyPatch) -> Record:
    watched = work / "disk"
    watched.mkdir()
    with patch.context() as inner:
        return recorded(scenario, Recorder(watched, inner))


def looked_at(record: Record, chosen: list[RunCrash], work: Path) -> None:
    with asyncio.Runner() as runner:
        for crash in chosen:
            shutil.rmtree(work / "crash", ignore_errors=True)
            check(record, crash, work / "crash", runner)


@pytest.mark.parametrize("scenario", EVERY, ids=lambda one: one.name)
def test_a_run_survives_every_crash(
    scenario: RunScenario, work: Path, monkeypatch: pytest.MonkeyPatch, full_counts: bool
) -> None:
    record = played(scenario, work, monkeypatch)
    different = list({one.key(): one for one in crashes(record, 200 if full_counts else 16)}.values())
    most = 400 if full_counts else 40
    chosen = random.Random(3).sample(different, min(most, len(different)))
    looked_at(record, chosen, work)
    assert len(chosen) >= 20
    print(
        f"\n{scenario.name}: {len(chosen)} of {len(different)} different states after {len(record.events)} events; "
        "0 stuck, 0 lost, 0 doubled"
    )


NEEDLESS = {
    "lists._append > DISK.sync_folder(os.path.dirname(path))": "only where who made it was killed; tried elsewhere",
}
"""Lines without which no crash of these runs loses anything, and why."""


def test_every_flush_of_a_run_is_needed(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Take out one line that flushes at a time: crashes must then lose something."""
    monkeypatch.setattr(run_crashes, "STUCK", 1.0)
    found: dict[str, str] = {}
    missed: set[str] = set()
    for scenario in [one for one in EVERY if not one.hangs]:
        folder = work / scenario.name.replace(" ", "-")
        folder.mkdir()
        record = played(scenario, folder, monkeypatch)
        for line in record.sites():
            if line in found or line in NEEDLESS:
                continue
            different = {one.key(): one for one in crashes(record.without(line), 24)}
            try:
                # The last crashes first: what was never flushed is still open then.
                looked_at(record, [*different.values()][::-1], folder)
            except Lost:
                found[line] = scenario.name
            else:
                missed.add(line)
    for line, name in found.items():
        print(f"\nwithout {line!r}: lost in {name!r}", end="")
    print(f"\n{len(found)} lines that flush, each taken out alone: all {len(found)} found")
    assert not missed - found.keys(), "no crash loses anything without these"
