from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from jan_runs_json.doctor import checks

from jan_core.check import Verdict

from .conftest import THREAD, Store, kept

pytestmark = pytest.mark.anyio


def verdicts(root: Path) -> list[Verdict]:
    return [check.run() for check in checks(root)]


async def test_a_root_in_order(store: Store) -> None:
    assert [one.ok for one in verdicts(store.root)] == [True, True]
    await store.ended()
    await store.runs.begin(kept(), None)
    readable, noted = verdicts(store.root)
    assert (readable.ok, readable.why) == (True, "2 runs are in order.")
    assert noted.ok


async def test_damage_is_named_with_its_line(store: Store) -> None:
    await store.ended()
    store.write("run_1", '{\n"created_at": }')
    (store.folder / "my run.json").write_text("{}")
    (store.folder / ".DS_Store").write_text("")
    home = store.root / "assistants" / "mine" / "threads" / "mine-1" / "runs"
    home.mkdir(parents=True)
    (home / "run_2.json").write_text("[]")
    verdict = verdicts(store.root)[0]
    assert not verdict.ok
    assert len(verdict.found) == 3
    assert f"{store.file('run_1')}, line 2: " in verdict.why
    assert f"{home / 'run_2.json'}, line 1: " in verdict.why
    assert f"'threads/{THREAD}/runs/my run.json' is no run" in verdict.why
    assert verdict.remedy


async def test_a_run_that_nobody_would_find_can_be_noted(store: Store) -> None:
    first = kept()
    await store.runs.begin(first, None)
    os.unlink(store.notes / THREAD)
    second = kept("copy")
    store.write("copy", second.run.model_dump(mode="json"))
    verdict = verdicts(store.root)[1]
    assert not verdict.ok
    assert len(verdict.repairs) == 2
    by_name = {"copy" if "copy" in one.question else "first": one for one in verdict.repairs}
    assert "is noted in threads/.running" in by_name["first"].do()
    assert json.loads((store.notes / THREAD).read_text())["run_id"] == first.run.id
    assert "nothing was changed" in by_name["copy"].do()
    assert [one.ok for one in verdicts(store.root)] == [True, False]
    store.write("copy", second.run.model_copy(update={"status": "cancelled"}).model_dump(mode="json"))
    assert [one.ok for one in verdicts(store.root)] == [True, True]
    await store.end(first.run.id)
    assert "nothing was changed" in by_name["first"].do()
