from __future__ import annotations

import json
import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from jan_core.folder import catalogue as module
from jan_core.folder.catalogue import Catalogue
from jan_core.folder.locks import Locks
from jan_core.ids import thread_time


class Shop:
    """Folders with a `thing.json`, and catalogues of them, each as a process of its own would have it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.homes = [str(root / "things")]
        self.scans: list[str] = []
        (root / "things").mkdir(parents=True)

    def catalogue(self) -> Catalogue:
        def read(folder: str) -> int | None:
            try:
                return int(json.loads(Path(folder, "thing.json").read_text())["created_at"])
            except (OSError, ValueError, KeyError):
                return None

        news = str(self.root / ".locks" / "things.news")
        return Catalogue(lambda: self.homes, "thing.json", thread_time, read, Locks(self.root), news)

    def put(self, name: str, created: int | None = None, home: int = 0) -> Path:
        folder = Path(self.homes[home], name)
        folder.mkdir(parents=True)
        made = thread_time(name) if created is None else created
        (folder / "thing.json").write_text(json.dumps({"created_at": made}))
        return folder


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path / "root")


@pytest.fixture
def scans(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Grows by the path of every folder whose names are read."""
    seen: list[str] = []
    real = os.scandir
    monkeypatch.setattr(module.os, "scandir", lambda path: (seen.append(str(path)), real(path))[1])
    return seen


def fresh(catalogue: Catalogue) -> list[str]:
    """All names, oldest first, as a request sees them now."""
    if not catalogue.is_current():
        catalogue.refresh()
    return catalogue.names(None, None, 10**6, newest_first=False)


def name(second: int, salt: str = "aa") -> str:
    return f"jan-{1_700_000_000 + second}-{salt}"


def test_names_in_order_and_between_cursors(shop: Shop) -> None:
    for second in (3, 1, 2, 5, 4):
        shop.put(name(second))
    shop.put(f"zoe-{1_700_000_003}-aa")
    catalogue = shop.catalogue()
    expected = [name(1), name(2), name(3), f"zoe-{1_700_000_003}-aa", name(4), name(5)]
    assert fresh(catalogue) == expected
    after, until = catalogue.key(name(2)), catalogue.key(name(5))
    assert catalogue.names(after, until, 10, newest_first=False) == expected[2:5]
    assert catalogue.names(until, after, 10, newest_first=True) == expected[2:5][::-1]
    assert catalogue.names(None, None, 2, newest_first=True) == expected[:-3:-1]
    assert catalogue.names(after, None, 2, newest_first=False) == expected[2:4]
    assert catalogue.names(until, after, 0, newest_first=True) == []
    assert catalogue.names(after, after, 5, newest_first=True) == []


def test_the_time_in_the_file_counts_once_it_is_read(shop: Shop) -> None:
    shop.put(name(1))
    shop.put(name(2))
    shop.put("copied-by-hand", created=1_700_000_001)
    catalogue = shop.catalogue()
    assert fresh(catalogue) == ["copied-by-hand", name(1), name(2)]
    catalogue.learn("copied-by-hand", 1_800_000_000)
    catalogue.learn(name(1), 1_700_000_009)
    catalogue.learn(name(2), 1_700_000_002)
    catalogue.learn("unheard-of", 5)
    assert fresh(catalogue) == [name(2), name(1), "copied-by-hand"]
    assert catalogue.knows(name(1))
    assert not catalogue.knows("unheard-of")


def test_what_a_person_copies_in_or_removes_is_seen_at_once(shop: Shop) -> None:
    catalogue = shop.catalogue()
    assert fresh(catalogue) == []
    for second in range(30):
        shop.put(name(second))
        assert fresh(catalogue)[-1] == name(second)
    for second in range(30):
        shutil.rmtree(Path(shop.homes[0], name(second)))
        assert name(second) not in fresh(catalogue)
    shop.put("a", created=7)
    os.rename(Path(shop.homes[0], "a"), Path(shop.homes[0], "b"))
    assert fresh(catalogue) == ["b"]
    shutil.rmtree(shop.homes[0])
    assert fresh(catalogue) == []
    shop.put("c", created=7)
    assert fresh(catalogue) == ["c"]


def test_stray_things_hide_nothing(shop: Shop) -> None:
    home = Path(shop.homes[0])
    (home / ".DS_Store").write_text("")
    (home / "notes.txt").write_text("")
    for hidden in ("ä", ".hidden", "CON"):
        shop.put(hidden, created=5)
    (home / "loop").symlink_to("loop")
    (home / "nowhere").symlink_to(home / "nothing")
    (home / "half").mkdir()
    shop.put(name(1))
    (home / "linked").symlink_to(shop.put(name(2)))
    catalogue = shop.catalogue()
    assert fresh(catalogue) == [name(1), name(2), "linked"]
    (home / "half" / "thing.json").write_text('{"created_at": 5}')
    assert fresh(catalogue) == ["half", name(1), name(2), "linked"]


def test_a_file_that_is_mended_is_seen(shop: Shop) -> None:
    broken = shop.put("broken", created=5) / "thing.json"
    broken.write_text("{")
    catalogue = shop.catalogue()
    assert fresh(catalogue) == []
    assert catalogue.knows("broken")
    broken.write_text('{"created_at": 12}')
    assert fresh(catalogue) == ["broken"]


def make(shop: Shop, catalogue: Catalogue, second: int) -> None:
    with catalogue.changing(shop.homes[0], name(second), 1_700_000_000 + second):
        os.mkdir(Path(shop.homes[0], name(second)))


def drop(shop: Shop, catalogue: Catalogue, second: int) -> None:
    with catalogue.changing(shop.homes[0], name(second), None):
        os.rmdir(Path(shop.homes[0], name(second)))


def test_what_processes_do_is_told_and_not_looked_for(
    shop: Shop, scans: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TRUSTED", 10**6)
    monkeypatch.setattr(module, "FEW", -1)
    one, other = shop.catalogue(), shop.catalogue()
    assert fresh(one) == fresh(other) == []
    scans.clear()
    made = []
    for second in range(20):
        maker = (one, other)[second % 3 % 2]
        make(shop, maker, second)
        made.append(name(second))
        if second % 5 == 4:
            drop(shop, maker, second - 2)
            made.remove(name(second - 2))
        assert fresh(one) == made
        assert fresh(other) == made
    assert scans == []


def test_a_change_by_hand_between_told_ones_is_looked_for(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = shop.catalogue(), shop.catalogue()
    assert fresh(one) == fresh(other) == []
    make(shop, one, 1)
    shop.put(name(2))
    make(shop, other, 3)
    assert fresh(one) == fresh(other) == [name(1), name(2), name(3)]


def test_news_that_were_missed(shop: Shop) -> None:
    one, other = shop.catalogue(), shop.catalogue()
    assert fresh(one) == fresh(other) == []
    make(shop, one, 1)
    (shop.root / ".locks" / "things.news").write_text("garbage\n")
    assert fresh(one) == fresh(other) == [name(1)]
    make(shop, other, 2)
    assert fresh(one) == fresh(other) == [name(1), name(2)]


def test_news_that_were_missed_where_the_folder_does_not_show_them(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TRUSTED", 10**6)
    monkeypatch.setattr(module, "_look", lambda home: (1, 2, 3, 4))  # as when all happens in one tick of the clock
    one, other = shop.catalogue(), shop.catalogue()
    assert fresh(one) == fresh(other) == []
    make(shop, one, 1)
    (shop.root / ".locks" / "things.news").write_text("garbage\n")
    assert fresh(other) == [name(1)]


def test_a_change_that_fails_is_no_news(shop: Shop) -> None:
    catalogue = shop.catalogue()
    assert fresh(catalogue) == []
    with pytest.raises(FileNotFoundError):
        drop(shop, catalogue, 1)
    assert fresh(catalogue) == []
    make(shop, catalogue, 1)  # the lock was given back
    assert fresh(catalogue) == [name(1)]


def test_several_homes(shop: Shop) -> None:
    catalogue = shop.catalogue()
    shop.put(name(1))
    assert fresh(catalogue) == [name(1)]
    shop.homes.append(str(shop.root / "own"))
    shop.put(name(2), home=1)
    shop.put("x", created=3, home=1)
    assert fresh(catalogue) == ["x", name(1), name(2)]
    assert catalogue.home(name(2)) == shop.homes[1]
    assert catalogue.home(name(1)) == shop.homes[0]
    with catalogue.changing(shop.homes[1], name(2), None):
        shutil.rmtree(Path(shop.homes[1], name(2)))
    assert fresh(catalogue) == ["x", name(1)]
    shop.homes.pop()
    assert fresh(catalogue) == [name(1)]


def test_many_names_are_sorted_and_few_changes_among_them_found(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_RUN", 8)
    for second in range(0, 200, 2):
        os.mkdir(Path(shop.homes[0], name(second * 7919 % 200)))
    catalogue = shop.catalogue()
    assert fresh(catalogue) == sorted(os.listdir(shop.homes[0]))
    for second in range(1, 200, 2):
        os.mkdir(Path(shop.homes[0], name(second)))
    assert fresh(catalogue) == [name(second) for second in range(200)]


def test_what_is_made_during_a_scan_is_not_lost(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    catalogue = shop.catalogue()
    shop.put(name(1))
    real: Callable[[str], object] = module._folders  # type: ignore[assignment]
    seconds = iter(range(10, 100))

    def slow(home: str) -> list[tuple[str, bool]]:
        found = list(real(home))  # type: ignore[call-overload]
        thread = threading.Thread(target=make, args=(shop, catalogue, next(seconds)))
        thread.start()
        thread.join()
        return found

    monkeypatch.setattr(module, "_folders", slow)
    catalogue.refresh()
    assert catalogue.is_current()
    assert fresh(catalogue) == [name(1), name(10)]
    shop.put(name(2))
    assert fresh(catalogue) == [name(1), name(2), name(10), name(11)]


def test_what_comes_back_during_a_scan_is_not_lost(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    catalogue = shop.catalogue()
    make(shop, catalogue, 1)
    assert fresh(catalogue) == [name(1)]
    os.rmdir(Path(shop.homes[0], name(1)))
    real: Callable[[str], object] = module._folders  # type: ignore[assignment]

    def slow(home: str) -> list[tuple[str, bool]]:
        found = list(real(home))  # type: ignore[call-overload]
        thread = threading.Thread(target=make, args=(shop, catalogue, 1))
        thread.start()
        thread.join()
        return found

    monkeypatch.setattr(module, "_folders", slow)
    catalogue.refresh()
    assert catalogue.names(None, None, 9, newest_first=True) == [name(1)]


def test_two_changes_in_one_tick_are_found_in_the_end(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FEW", -1)
    frozen = (1, 2, 3, 4)
    monkeypatch.setattr(module, "_look", lambda home: frozen)  # a folder whose times tell nothing
    monkeypatch.setattr(module, "_is_old", lambda look, now=None: now is None)
    monkeypatch.setattr(module, "TRUSTED", 0)
    catalogue = shop.catalogue()
    assert fresh(catalogue) == []
    shop.put(name(1))
    assert fresh(catalogue) == []
    assert catalogue.may_have_missed()
    catalogue.refresh(again=True)
    assert fresh(catalogue) == [name(1)]
    monkeypatch.setattr(module, "TRUSTED", 10**6)
    assert not catalogue.may_have_missed()
