"""Texts that somebody else wrote, shown in a terminal: nothing in them may move its cursor or write in its title."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from datetime import datetime

_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_WIDE = 100_000
_NARROWEST = 8


def plain(text: str) -> str:
    """The text with control characters, also those that turn the direction of writing, shown as what they are."""
    return _CONTROLS.sub(lambda found: f"\\x{ord(found[0]):02x}", text.replace("\r\n", "\n"))


def line(text: str, longest: int = 0) -> str:
    """The same on one line, cut to `longest` characters where that is not 0."""
    found = plain(" ".join(text.split()))
    return found if not longest or len(found) <= longest else found[: longest - 1] + "…"


def moment(seconds: int) -> str:
    """A time as people here write it, to the minute: `2026-11-22 10:00`."""
    return datetime.fromtimestamp(seconds).astimezone().strftime("%Y-%m-%d %H:%M")


def print_rows(heads: Sequence[str], rows: Sequence[Sequence[str]], *, gives_way: str = "") -> None:
    """Print rows in columns.

    Args:
        heads: the columns' names.
        rows: their cells; each is put on one line.
        gives_way: the column that is cut where a terminal is narrow; the others stay whole.
    """
    from rich.cells import cell_len
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    cells = [[line(cell) for cell in row] for row in rows]
    widths = [max(map(cell_len, column)) for column in zip(heads, *cells, strict=True)]
    # Nothing is cut for a program that reads the rows.
    console = Console(highlight=False) if sys.stdout.isatty() else Console(highlight=False, width=_WIDE)
    table = Table(box=None, pad_edge=False, show_edge=False, padding=(0, 2, 0, 0))
    rest = console.width - sum(widths) - 2 * len(widths)
    for head, width in zip(heads, widths, strict=True):
        shown = max(_NARROWEST, width + rest) if head == gives_way and rest < 0 else width
        table.add_column(head, no_wrap=True, overflow="ellipsis", width=shown)
    for row in cells:
        table.add_row(*map(Text, row))
    with console.capture() as printed:
        console.print(table)
    print("\n".join(row.rstrip() for row in printed.get().splitlines()))
