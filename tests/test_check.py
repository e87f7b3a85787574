from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest

from jan_core.check import Check, Repair, Verdict, wrong


def test_a_check_has_a_name_and_gives_a_verdict() -> None:
    verdict = Check("disk", lambda: Verdict(False, "it is full", "rm -r /tmp/x")).run()
    assert (verdict.ok, verdict.why, verdict.remedy) == (False, "it is full", "rm -r /tmp/x")
    assert Verdict(True, "fine").remedy == ""
    with pytest.raises(FrozenInstanceError):
        verdict.ok = True  # type: ignore[misc]


def test_a_verdict_may_bring_repairs() -> None:
    assert Verdict(False, "it is torn").repairs == ()
    (repair,) = Verdict(False, "it is torn", "", (Repair("Mend it?", lambda: "It is whole."),)).repairs
    assert (repair.question, repair.do()) == ("Mend it?", "It is whole.")


def test_many_findings_are_cut_short_in_the_text() -> None:
    ten = [f"{number}." for number in range(10)]
    assert wrong(ten, "Mend it.").why == "0. 1. 2. 3. 4. 5. 6. 7. 8. 9."
    verdict = wrong([*ten, "10.", "11."], "Mend it.")
    assert verdict.why == wrong(ten, "").why + " And 2 more; jan doctor --json tells all."
    assert (verdict.ok, verdict.remedy, verdict.found) == (False, "Mend it.", (*ten, "10.", "11."))
