"""What an import did, for a person and for a program."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from jan_core.importing.reading import Unreadable

Kind = Literal["model", "assistant", "thread"]
Outcome = Literal["imported", "present", "skipped", "left out"]
"""`present`: it was here already, the same. `skipped`: something is wrong with it, or another one is here. `left out`:
there is nothing to bring, such as a model whose file was never downloaded."""


@dataclass
class Item:
    """One thing of the foreign root, and what became of it.

    Args:
        kind: what it is.
        id: what it is called here.
        outcome: what became of it.
        path: where it lies there.
        why: the reason, where it was not imported.
        line: of the file at `path`, where that is at fault.
        messages: how many messages of a thread were brought.
        problems: parts of it that could not be brought, with file and line.
        notes: what was left out, or changed.
    """

    kind: Kind
    id: str
    outcome: Outcome
    path: Path
    why: str = ""
    line: int | None = None
    messages: int = 0
    problems: list[Unreadable] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def shown(self) -> dict[str, Any]:
        """The same as JSON."""
        problems = [{"path": str(one.path), "line": one.line, "why": one.why} for one in self.problems]
        notes = [f"{text} ({count} times)" if count > 1 else text for text, count in Counter(self.notes).items()]
        told = {"kind": self.kind, "id": self.id, "outcome": self.outcome, "path": str(self.path)}
        why = self.why if self.outcome in ("skipped", "left out") else ""
        more = {"why": why, "line": self.line, "messages": self.messages, "problems": problems, "notes": notes}
        return told | {name: value for name, value in more.items() if value}


@dataclass
class Report:
    """What became of everything in a foreign root.

    Args:
        source: the foreign root.
        dry_run: nothing was written; it says what would be.
        items: in the order in which they were looked at.
        stopped: it was ended before everything was looked at.
    """

    source: Path
    dry_run: bool
    items: list[Item] = field(default_factory=list)
    stopped: bool = False

    def count(self, kind: Kind, outcome: Outcome) -> int:
        """How many things of a kind ended so."""
        return sum(item.kind == kind and item.outcome == outcome for item in self.items)

    @property
    def messages(self) -> int:
        """How many messages were brought."""
        return sum(item.messages for item in self.items)

    @property
    def whole(self) -> bool:
        """Whether everything that can be brought is here."""
        return not self.stopped and not any(item.outcome == "skipped" or item.problems for item in self.items)

    def reasons(self) -> list[str]:
        """A line for everything that could not be brought: the file, the line in it, and why."""
        found = []
        for item in self.items:
            if item.outcome == "skipped":
                found.append(f"{place(item.path, item.line)}: {item.why}")
            found += [f"{place(one.path, one.line)}: {one.why}" for one in item.problems]
        return found

    def notes(self) -> list[str]:
        """A line for every kind of thing that was changed or left out on the way."""
        count: Counter[str] = Counter()
        where: dict[str, Item] = {}
        for item in self.items:
            count.update(item.notes)
            for text in item.notes:
                where.setdefault(text, item)
        return [
            f"{where[text].kind} {where[text].id}: {text}{f' ({times} times in all)' if times > 1 else ''}"
            for text, times in count.items()
        ]

    def shown(self) -> dict[str, Any]:
        """The same as JSON."""
        told: dict[str, Any] = {"source": str(self.source), "dry_run": self.dry_run, "whole": self.whole}
        return told | {"messages": self.messages, "items": [item.shown() for item in self.items]}


def place(path: Path, line: int | None) -> str:
    """A file, and the line in it."""
    return str(path) if line is None else f"{path}, line {line}"
