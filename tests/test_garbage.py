"""What searches for garbage look at while a server serves."""

from __future__ import annotations

import gc
import sys
from types import ModuleType

import pytest

from jan_core import garbage
from jan_core.garbage import seldom, sparing_modules


def test_what_is_there_is_passed_over() -> None:
    before = gc.get_freeze_count()
    with sparing_modules():
        assert gc.get_freeze_count() > before + 1000
        assert len(gc.get_objects()) < 10_000
    assert gc.get_freeze_count() == 0


def test_what_modules_bring_is_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with sparing_modules():
        gc.collect()
        before = gc.get_freeze_count()
        kept = [[number] for number in range(50_000)]
        gc.collect()
        assert gc.get_freeze_count() == before
        monkeypatch.setitem(sys.modules, "loaded_later", ModuleType("loaded_later"))
        gc.collect()
        assert gc.get_freeze_count() > before + len(kept)


def test_garbage_goes_all_the_same() -> None:
    with sparing_modules():
        loop: list[object] = []
        loop.append(loop)
        del loop
        assert gc.collect() >= 1


def test_nothing_is_left_of_it() -> None:
    before = list(gc.callbacks)
    with pytest.raises(ValueError, match="over"), sparing_modules():
        raise ValueError("over")
    assert gc.callbacks == before


def test_while_modules_are_loaded_searches_are_rare() -> None:
    usual = gc.get_threshold()
    with seldom():
        assert gc.get_threshold() == (garbage.SELDOM, *usual[1:])
        with sparing_modules():
            assert gc.get_threshold() == usual
    assert gc.get_threshold() == usual


def test_a_command_within_another_changes_nothing() -> None:
    usual = gc.get_threshold()
    with seldom(), seldom(), sparing_modules():
        assert gc.get_threshold() == usual
    assert gc.get_threshold() == usual
