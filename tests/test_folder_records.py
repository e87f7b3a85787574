from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from jan_core.errors import InvalidRequest
from jan_core.folder import records as module
from jan_core.folder.fields import checked
from jan_core.folder.names import check_name
from jan_core.folder.objects import Damaged, read_object
from jan_core.folder.records import Records, keep
from jan_core.folder.shelf import Unread

Write = Callable[..., Path]


class Thing(BaseModel):
    id: str
    created_at: int
    model: str | None = None


def thing_of(name: str, path: str, values: dict[str, Any], content: bytes, beside: dict[str, Any] | None) -> Thing:
    shown = {"id": name, "created_at": values.get("created_at"), "model": None if beside is None else beside.get("id")}
    return checked(Thing, shown, path, content)


@pytest.fixture
def records(tmp_path: Path) -> Records[Thing]:
    return Records(Thing, "thing.json", "model.json", thing_of, lambda name: str(tmp_path / check_name(name)))


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """`write("x/thing.json", created_at=1)` writes a file as a person would."""

    def do(name: str, content: str | None = None, **fields: Any) -> Path:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(fields) if content is None else content)
        return path

    return do


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if every file had last been changed long ago; the time of any change cannot be set back."""
    monkeypatch.setattr(module, "is_settled", lambda found, now: True)


def found(records: Records[Thing], name: str = "x") -> Thing:
    record = records.find(name, may_read=True)
    assert record is not None
    return record.item()


def test_an_unchanged_file_is_not_opened_again(
    records: Records[Thing], write: Write, settled: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write("x/thing.json", created_at=5)
    with pytest.raises(Unread):
        records.find("x", may_read=False)
    first = records.find("x", may_read=True)
    assert first is not None
    assert (first.folder, first.created_at) == (str(path.parent), 5)
    with monkeypatch.context() as patch:
        patch.setattr(module, "read_object", None)
        assert records.find("x", may_read=True) is first
        assert records.find("x", may_read=False) is first
    one, other = first.item(), first.item()
    assert one == other == Thing(id="x", created_at=5)
    assert one is not other
    path.write_text('{"created_at": 66}')
    with pytest.raises(Unread):
        records.find("x", may_read=False)
    assert found(records).created_at == 66
    path.unlink()
    assert records.find("x", may_read=False) is None
    assert not records._records


def test_the_file_beside_counts_and_its_damage_costs_only_what_it_sets(
    records: Records[Thing], write: Write, settled: None
) -> None:
    write("x/thing.json", created_at=5)
    assert found(records).model is None
    beside = write("x/model.json", id="m")
    assert found(records).model == "m"
    write("x/model.json", "{ broken")
    assert found(records).model is None
    assert records.find("x", may_read=False) is not None
    beside.unlink()
    with pytest.raises(Unread):
        records.find("x", may_read=False)


@pytest.mark.parametrize("name", ["thing.json", "model.json"])
def test_a_file_that_was_just_changed_is_read_again(
    records: Records[Thing], write: Write, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    write("x/thing.json", created_at=5)
    fresh = os.stat(write(f"x/{name}", created_at=5)).st_ino
    monkeypatch.setattr(module, "is_settled", lambda found, now: found is None or found[2] != fresh)
    found(records)
    with pytest.raises(Unread):
        records.find("x", may_read=False)
    monkeypatch.setattr(module, "is_settled", lambda found, now: True)
    found(records)
    assert records.find("x", may_read=False) is not None


def test_the_clock_is_read_before_the_files_are(
    records: Records[Thing], write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticks = iter((1_000, 2_000))
    asked: list[int] = []
    monkeypatch.setattr(module.time, "time_ns", lambda: next(ticks))
    monkeypatch.setattr(module, "is_settled", lambda found, now: not asked.append(now))
    write("x/thing.json", created_at=5)
    found(records)
    assert asked == [1_000, 1_000]


def test_damage_is_remembered_and_told_anew_to_each(records: Records[Thing], write: Write, settled: None) -> None:
    path = write("x/thing.json", '{\n"created_at": "soon"}')
    record = records.find("x", may_read=True)
    assert record is not None
    assert record.created_at is None
    assert records.find("x", may_read=False) is record
    told = []
    for _ in range(2):
        with pytest.raises(Damaged) as caught:
            record.item()
        told.append(caught.value)
    assert str(told[0]) == str(told[1])
    assert str(told[0]).startswith(f"{path}, line 2: `created_at`: ")
    assert told[0] is not told[1]  # a traceback grows with every raise
    write("x/thing.json", created_at=5)
    assert found(records).created_at == 5


def test_what_is_hidden_or_no_name(records: Records[Thing], write: Write, settled: None) -> None:
    class Some(Records[Thing]):
        def is_hidden(self, name: str) -> bool:
            return name in hidden

    hidden: set[str] = set()
    some = Some(Thing, "thing.json", "model.json", thing_of, records._folder_of)
    write("x/thing.json", created_at=5)
    hidden.add("x")
    assert some.find("x", may_read=False) is None
    hidden.clear()
    assert found(some).id == "x"
    hidden.add("x")
    assert some.find("x", may_read=False) is None
    assert records.find("nothing", may_read=False) is None
    with pytest.raises(InvalidRequest):
        records.find("../x", may_read=True)


def test_what_goes_before_it_can_be_read_is_none(records: Records[Thing], write: Write, settled: None) -> None:
    class Going(Records[Thing]):
        def is_hidden(self, name: str) -> bool:  # asked after a look at the file, and before it is opened
            if goes:
                path.unlink()
            return False

    goes = False
    going = Going(Thing, "thing.json", "model.json", thing_of, records._folder_of)
    path = write("x/thing.json", created_at=5)
    found(going)
    write("x/thing.json", created_at=66)
    goes = True
    assert going.find("x", may_read=True) is None
    assert not going._records


def test_what_a_listing_sees(records: Records[Thing], write: Write, settled: None) -> None:
    learnt: dict[str, int] = {}
    for name, time in (("x", 5), ("damaged", "soon")):
        write(f"{name}/thing.json", created_at=time)
    circle = write("circle/model.json").with_name("thing.json")
    circle.symlink_to(circle)
    with pytest.raises(Unread):
        records.look("x", False, learnt.__setitem__)
    assert records.look("x", True, learnt.__setitem__) == Thing(id="x", created_at=5)
    assert records.look("x", False, learnt.__setitem__) == Thing(id="x", created_at=5)
    for name in ("damaged", "circle", "nothing"):
        assert records.look(name, True, learnt.__setitem__) is None
    assert learnt == {"x": 5}


def test_what_cannot_be_read_is_said(records: Records[Thing], write: Write) -> None:
    path = write("x/thing.json", created_at=5)

    class Circling(Records[Thing]):
        def is_hidden(self, name: str) -> bool:  # asked after a look at the file, and before it is opened
            path.unlink()
            path.symlink_to(path)
            return False

    circling = Circling(Thing, "thing.json", "model.json", thing_of, records._folder_of)
    with pytest.raises(OSError):
        circling.find("x", may_read=True)
    path.unlink()
    path.write_text('{"created_at": 5}')
    assert circling.look("x", True, lambda name, made: None) is None


def test_the_time_alone(records: Records[Thing], write: Write) -> None:
    folder = str(write("x/thing.json", created_at=5).parent)
    write("x/model.json", "{ broken")
    assert records.time_made(folder) == 5
    write("x/thing.json", created_at="soon")
    assert records.time_made(folder) is None
    assert records.time_made(folder + "y") is None
    assert not records._records


def test_memory_is_bounded(records: Records[Thing], write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REMEMBERED", 5)
    for number in range(20):
        write(f"x{number}/thing.json", created_at=5)
        found(records, f"x{number}")
    found(records, "x16")  # read again, so that it is the newest
    assert list(records._records) == ["x15", "x17", "x18", "x19", "x16"]
    records.drop("x17")
    records.drop("never there")
    assert list(records._records) == ["x15", "x18", "x19", "x16"]


@pytest.mark.parametrize("sooner", [True, False])
def test_another_thread_may_take_out_the_same(sooner: bool) -> None:
    class Raced(dict[str, int]):
        def __iter__(self) -> Iterator[str]:
            if sooner:
                self.clear()
            oldest = super().__iter__()
            self.clear()
            return oldest

    kept = Raced()
    for number in range(4):
        keep(kept, f"x{number}", number, 3)
    assert len(kept) == 0
    keep(kept, "last", 1, 3)
    assert kept == {"last": 1}


def test_what_was_just_changed_is_read_at_once_where_nothing_is_waited_for(
    records: Records[Thing], write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, bool]] = []
    blocking: set[str] = set()

    def read(path: str, *, at_once: bool = False) -> Any:
        name = Path(path).name
        asked.append((name, at_once))
        if at_once and name in blocking:
            raise BlockingIOError
        return read_object(path)

    monkeypatch.setattr(module, "read_object", read)
    write("x/thing.json", created_at=5)
    write("x/model.json", id="m")
    for created_at in (5, 6):
        write("x/thing.json", created_at=created_at)
        record = records.find_at_once("x")
        assert record is not None
        assert record.item() == Thing(id="x", created_at=created_at, model="m")
    assert set(asked) == {("thing.json", True), ("model.json", True)}
    assert records.find_at_once("nothing") is None
    with pytest.raises(InvalidRequest):
        records.find_at_once("..")
    for blocking_now in ("thing.json", "model.json"):
        blocking.clear()
        blocking.add(blocking_now)
        with pytest.raises(Unread):
            records.find_at_once("x")
    assert found(records) == Thing(id="x", created_at=6, model="m")
