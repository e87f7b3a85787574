from __future__ import annotations

import re
import time

import pytest

from jan_core.folder.names import is_name
from jan_core.ids import new_id, new_thread_id, new_timed_id, now, thread_time, timed_id_time


def test_an_id_has_its_prefix_and_length_and_does_not_repeat() -> None:
    ids = {new_id("msg_") for _ in range(1000)}
    assert len(ids) == 1000
    assert all(re.fullmatch("msg_[0-9A-Za-z]{24}", one) for one in ids)
    assert re.fullmatch("chatcmpl-[0-9A-Za-z]{29}", new_id("chatcmpl-", 29))


def test_every_place_takes_every_character() -> None:
    ids = [new_id("", 24) for _ in range(3000)]
    for place in range(24):
        assert len({one[place] for one in ids}) == 62, place


def test_now_is_in_whole_seconds() -> None:
    before, told, after = time.time(), now(), time.time()
    assert isinstance(told, int)
    assert int(before) <= told <= after


def test_ids_of_threads_tell_the_assistant_and_the_time_and_sort() -> None:
    before = int(time.time())
    ids = [new_thread_id() for _ in range(5000)]
    after = int(time.time())
    assert ids == sorted(ids)
    assert len(set(ids)) == 5000
    assert all(re.fullmatch(r"jan-[0-9]{10}-[0-9a-z]{14}", one) for one in ids)
    assert all(before <= (thread_time(one) or 0) <= after for one in ids)
    assert len({one[-10:] for one in ids}) == 5000
    assert new_thread_id("asst_x-1700000000-y").startswith("asst_x-1700000000-y-")
    assert thread_time(new_thread_id("asst_x-1700000000-y")) not in (None, 1_700_000_000)


def test_ids_of_threads_are_names_of_folders_whatever_the_assistant_is_called() -> None:
    for assistant in ("a", "a" * 128, "a." * 63 + "a", "CONSOLE"):
        assert is_name(assistant)
        assert is_name(new_thread_id(assistant))
        assert thread_time(new_thread_id(assistant)) is not None


def test_a_clock_that_is_set_back_is_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = 2_000_000_000 * 10**9
    monkeypatch.setattr("jan_core.ids.time.time_ns", lambda: clock)
    monkeypatch.setattr("jan_core.ids._last", 0)
    first, second = new_thread_id(), new_thread_id()
    assert first < second  # within one tick
    clock -= 500_000 * 1000
    assert new_thread_id() > second
    clock -= 10**9
    assert thread_time(new_thread_id()) == 1_999_999_998


def test_times_in_the_ids_of_other_applications() -> None:
    assert thread_time("jan_1700000000") == 1_700_000_000
    assert thread_time("jan_1700000000123") == 1_700_000_000
    assert thread_time("jan-1700000000") == 1_700_000_000
    assert thread_time("01ARZ3NDEKTSV4RRFFQ69G5FAV") == 1_469_922_850
    for none in ("", "by-hand", "jan-17-x", "jan-1700000000-X", "1700000000", "81ARZ3NDEKTSV4RRFFQ69G5FAV", "thread_x"):
        assert thread_time(none) is None


def test_ids_that_tell_their_time_sort() -> None:
    before = int(time.time())
    found = [new_timed_id("run_") for _ in range(1000)]
    assert found == sorted(set(found))
    assert all(re.fullmatch("run_[0-9][0-9a-z]{23}", one) and is_name(one) for one in found)
    assert {timed_id_time(one, "run_") for one in found} <= set(range(before, before + 60))
    for other in ("run_1", found[0][4:], f"step_{found[0][4:]}", new_id("run_", 20), found[0].upper()):
        assert timed_id_time(other, "run_") is None
