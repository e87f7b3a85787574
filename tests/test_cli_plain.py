from __future__ import annotations

import re
import sys

import pytest

from jan_core.cli.plain import line, moment, plain, print_rows
from tests.command_line import POSIX, Terminal


def test_nothing_in_a_text_moves_the_cursor() -> None:
    assert plain("a\x1b[2Jb\x07\u202ec\x9bd\r") == "a\\x1b[2Jb\\x07\\x202ec\\x9bd\\x0d"
    assert plain("one\r\ntwo\n\tthree") == "one\ntwo\n\tthree"
    assert plain("é 日本 🏴") == "é 日本 🏴"


def test_one_line() -> None:
    assert line("  a\n b\x1b ") == "a b\\x1b"
    assert line("abcdef", 4) == "abc…"
    assert line("abcd", 4) == "abcd"


def test_a_moment() -> None:
    assert re.fullmatch(r"2023-11-1[45] \d\d:\d\d", moment(1_700_000_000))


def test_rows_for_a_program_are_whole(capsys: pytest.CaptureFixture[str]) -> None:
    print_rows(("ID", "TITLE"), [("a", "x" * 300), ("[b]bold[/b]", "日本")], gives_way="TITLE")
    assert capsys.readouterr().out.splitlines() == [
        "ID           TITLE",
        f"a            {'x' * 300}",
        "[b]bold[/b]  日本",
    ]


@POSIX
def test_rows_in_a_terminal_are_cut_where_they_may_be() -> None:
    code = (
        "from jan_core.cli.plain import print_rows\n"
        "print_rows(('ID', 'TITLE', 'LAST'), [('i' * 60, 't' * 200, 'now')], gives_way='TITLE')\n"
    )
    with Terminal(sys.executable, "-c", code) as terminal:
        assert terminal.ended() == 0
    assert len(terminal.seen.splitlines()) == 2
    assert "i" * 60 in terminal.seen
    assert "t…" in terminal.seen
    assert "now" in terminal.seen
