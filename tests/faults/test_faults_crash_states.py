"""Every state that a power cut can leave of every operation that writes: nothing acknowledged is lost or altered."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.faults.conversation import Opened
from tests.faults.crashes import (
    ROOT,
    Figures,
    Lost,
    Record,
    check,
    crashes,
    key,
    record,
    recoveries,
)
from tests.faults.recorder import Recorder
from tests.faults.scenarios import EVERY, Ids, Scenario

pytestmark = pytest.mark.faults


def played(scenario: Scenario, work: Path, patch: pytest.MonkeyPatch) -> Record:
    """The record of a scenario."""
    watched, ids = work / "disk", Ids()
    watched.mkdir()
    recorder = Recorder(watched, patch)
    if not scenario.fresh:
        with Opened(watched / ROOT, scenario.append) as app:
            scenario.before(app, ids)
    return record(recorder, scenario.bound(ids), append=scenario.append, fresh=scenario.fresh)


@pytest.mark.parametrize("scenario", EVERY, ids=lambda one: one.name)
def test_nothing_acknowledged_is_lost(
    scenario: Scenario, work: Path, monkeypatch: pytest.MonkeyPatch, full_counts: bool
) -> None:
    record = played(scenario, work, monkeypatch)
    figures = check(record, work / "crashes", most=400 if full_counts else 24)
    assert figures.different >= 5, figures
    print(f"\n{scenario.name}: {figures}; 0 lost, 0 altered, 0 broken files")


IN_PLACE = ("append across a page", "append of pages", "append once", "delete a thread", "make a thread once")


@pytest.mark.parametrize("scenario", [one for one in EVERY if one.name in IN_PLACE], ids=lambda one: one.name)
def test_a_recovery_that_crashes_loses_nothing_either(
    scenario: Scenario, work: Path, monkeypatch: pytest.MonkeyPatch, full_counts: bool
) -> None:
    with monkeypatch.context() as patch:
        record = played(scenario, work, patch)
    first = list({key(one): one for one in crashes(record, 200 if full_counts else 40)}.values())
    chosen = random.Random(6).sample(first, min(len(first), 40 if full_counts else 5))
    again = Recorder(work / "disk", monkeypatch)
    figures = Figures()
    for crash in chosen:
        second = list(recoveries(again, crash, scenario.append, 12))
        check(record, work / "crashes", most=0, figures=figures, at=second)
    assert figures.different, "no recovery changed anything, so nothing was tried"
    print(f"\n{scenario.name}: {len(chosen)} crashes, and in their recovery {figures}; 0 lost, 0 altered")


NEEDLESS = {
    "lists._append > DISK.sync_folder(os.path.dirname(path))": "only where who made the file was killed; tried there",
    "removal.secure_hidden > DISK.sync_folder(folder)": "only where the flush of hide_folder failed; tried there",
    "tombstones.secure > DISK.sync_folder(self.folder)": "only where the flush of a removal failed; tried there",
    "lists.remove > DISK.sync_folder(folder)": "what it removes belongs to a thread that is hidden, and goes again",
}
"""Lines without which no crash of these requests loses anything, and why."""


def test_every_flush_is_needed(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Take out one line that flushes at a time: crashes must then lose something."""
    found: dict[str, str] = {}
    missed: set[str] = set()
    for scenario in EVERY:
        with monkeypatch.context() as patch:
            folder = work / scenario.name.replace(" ", "-")
            folder.mkdir()
            record = played(scenario, folder, patch)
            for line in record.sites():
                if line in found or line in NEEDLESS:
                    continue
                try:
                    # The last crashes first: what was never flushed is still open then.
                    without = record.without(line)
                    check(without, folder / str(len(found)), most=0, at=reversed([*crashes(without, 40)]))
                except Lost:
                    found[line] = scenario.name
                else:
                    missed.add(line)
    assert not missed - found.keys(), "no crash loses anything without these"
    for line, name in found.items():
        print(f"\nwithout {line!r}: lost in {name!r}", end="")
    print(f"\n{len(found)} lines that flush, each taken out alone: all {len(found)} found")
