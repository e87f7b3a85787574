from __future__ import annotations

from pathlib import Path

import pytest

from jan_core.folder import news as module
from jan_core.folder.news import Change, News


def change(number: int) -> Change:
    return Change("/root/threads", f"t{number}", number, (1, 2), (3, 4, 5))


def test_what_one_tells_others_read_once(tmp_path: Path) -> None:
    one, other = News(str(tmp_path / "news")), News(str(tmp_path / "news"))
    for each in (one, other):
        each.follow()
        assert not each.has_more()
        assert each.read() == []
    one.tell(change(1))
    one.tell(change(2))
    assert other.has_more()
    assert other.read() == [change(1), change(2)]
    assert one.read() == [change(1), change(2)]
    assert other.read() == []
    gone = Change("/root/threads", "t1", None, None, None)
    other.tell(gone)
    assert one.read() == [gone]


def test_who_comes_later_missed_nothing(tmp_path: Path) -> None:
    one, later = News(str(tmp_path / "news")), News(str(tmp_path / "news"))
    one.tell(change(1))
    later.follow()
    assert later.read() == []
    one.tell(change(2))
    assert later.read() == [change(2)]


def test_a_line_cut_short_is_missed_news_and_hides_no_later_one(tmp_path: Path) -> None:
    path = tmp_path / "news"
    one, other = News(str(path)), News(str(path))
    one.tell(change(1))
    other.follow()
    with path.open("ab") as file:
        file.write(b'["/root/thr')
    assert other.read() is None
    assert other.read() == []
    one.tell(change(2))
    assert other.read() == [change(2)]
    for wrong in (b"5\n", b'["a", 1, 2, null, null]\n', b"\xff\n", b'["a", "b", "c", null, null]\n'):
        with path.open("ab") as file:
            file.write(wrong)
        assert other.read() is None


def test_long_news_begin_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LONGEST", 500)
    path = tmp_path / "news"
    one, other = News(str(path)), News(str(path))
    one.tell(change(0))
    other.follow()
    one.read()
    for number in range(1, 50):
        one.tell(change(number))
        assert one.read() == [change(number)]  # whoever tells misses nothing
    assert path.stat().st_size < 1000
    assert other.read() is None
    one.tell(change(50))
    assert other.read() == [change(50)]
    path.unlink()
    assert other.read() is None
