"""Each file call of each operation is where the process ends, the disk is full, or a call fails."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.faults.crashes import Lost
from tests.faults.disturbed import How, Setting, at
from tests.faults.scenarios import EVERY, Scenario

pytestmark = pytest.mark.faults

KILLED: tuple[How, ...] = ("killed", "killed halfway")
FAILED: tuple[How, ...] = ("full", "full halfway", "failed")
SOME = [one for one in EVERY if not one.fresh]


@pytest.mark.parametrize("scenario", SOME, ids=lambda one: one.name)
@pytest.mark.parametrize("hows", [KILLED, FAILED], ids=["killed", "failed"])
def test_a_disturbed_request_costs_nothing_but_itself(
    scenario: Scenario, hows: tuple[How, ...], work: Path, monkeypatch: pytest.MonkeyPatch, full_counts: bool
) -> None:
    setting = Setting(scenario, work, monkeypatch)
    calm = setting.play()
    assert set(calm.outcomes) == {"answered"}
    calls = calm.calls
    tries = [(number, how) for number in range(calls) for how in hows]
    if not full_counts:
        tries = random.Random(scenario.name).sample(tries, min(3, len(tries)))
    outcomes: list[str] = []
    cuts = 0
    for number, how in tries:
        try:
            play = setting.play(at(number, how))
        except AssertionError as error:
            raise AssertionError(f"{how} at call {number} of {calls}: {error}") from error
        outcomes += play.outcomes
        cuts += play.figures.states
    counts = {outcome: outcomes.count(outcome) for outcome in sorted(set(outcomes))}
    print(
        f"\n{scenario.name}: {len(tries)} of {calls * len(hows)} disturbances ({', '.join(hows)}), requests {counts}, "
        f"then {cuts} power cuts; 0 lost, 0 false acknowledgements"
    )


AFTER_A_KILL = {
    "lists._append > DISK.sync_folder(os.path.dirname(path))": "first message",
    "lists.secure > DISK.sync(descriptor)": "append once",
    "lists.secure > DISK.sync_folder(Path(path).parent)": "first message once",
    "keys.secure > DISK.sync_folder(os.path.join(self.folder, span))": "make a thread once",
    "store._was_made > DISK.sync_folder(folder)": "make a thread once",
    "store._was_made > DISK.sync_folder(self._layout.assistant_folder(assistant_id))": "make assistants",
}
"""Lines that flush what a process may have left that was killed, and the scenarios that need them."""


@pytest.mark.parametrize("line", AFTER_A_KILL)
def test_what_a_killed_process_left_must_be_flushed(line: str, work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (scenario,) = [one for one in EVERY if one.name == AFTER_A_KILL[line]]
    setting = Setting(scenario, work, monkeypatch)
    # A play may take a call or two more than another: what is not sure of a file by its time is looked at again.
    for number in reversed(range(setting.play().calls + 3)):
        try:
            setting.play(at(number, "killed"), without=line)
        except Lost:
            return
    pytest.fail("nothing was lost without it")
