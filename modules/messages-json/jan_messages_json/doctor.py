"""What `jan doctor` looks at: message files and messages that are damaged, and what was kept of broken files."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from itertools import islice
from pathlib import Path

from jan_core.check import Check, Repair, Verdict
from jan_core.folder.elements import scan
from jan_core.folder.layout import Layout
from jan_core.folder.lists import BROKEN, Lists
from jan_core.folder.locks import Locks
from jan_core.folder.names import is_name
from jan_messages_json.store import FILE
from jan_messages_json.stored import fault_of, message_of, names

_SHOWN = 10


def checks(root: Path) -> list[Check]:
    """Return the checks of the message files of a root."""
    return [
        Check("messages-json: every message can be shown", partial(_readable, root)),
        Check("messages-json: nothing was left out", partial(_kept, root)),
    ]


def _readable(root: Path) -> Verdict:
    layout, faults, repairs = Layout(root), list[str](), list[Repair]()
    count = 0
    for folder in _folders(layout):
        path = os.path.join(folder, FILE)
        if os.path.lexists(path):
            count += 1
            faults += islice(_faults(path, layout.shown(path)), _SHOWN + 1)
            if _is_broken(path):
                question = f"Put {layout.shown(path)} in order, and keep the broken file beside it?"
                repairs.append(Repair(question, partial(_mend, layout, path)))
    if not faults:
        return Verdict(True, f"{count} files of messages are in order." if count else "There are no messages yet.")
    remedy = "Mend what is named in an editor; the next message written puts the rest right."
    return Verdict(False, _listed(faults), remedy, tuple(repairs))


def _is_broken(path: str) -> bool:
    try:
        return os.path.isfile(path) and scan(Path(path).read_bytes()).fault is not None
    except OSError:
        return False


def _mend(layout: Layout, path: str) -> str:
    shown = layout.shown(path)
    layout.check_writable(path)
    if not _is_broken(path):
        return f"{shown} is in order by now; nothing was changed."
    with Lists(Locks(Path(layout.root)), names).change(path, os.path.basename(os.path.dirname(path))) as change:
        count = change.mend()
    return f"{shown} has {count} whole messages; the broken file is beside it as {FILE}{BROKEN}…"


def _kept(root: Path) -> Verdict:
    layout = Layout(root)
    found = [
        layout.shown(os.path.join(folder, name))
        for folder in _folders(layout)
        for name in sorted(os.listdir(folder))
        if name.startswith(FILE + BROKEN)
    ]
    if not found:
        return Verdict(True, "No broken file was set aside.")
    what = "Of files that were broken, or whose last write broke off, these copies were kept:"
    remedy = f"Take out of them what {FILE} beside them lacks, then delete them."
    return Verdict(False, f"{what} {_listed(found)}", remedy)


def _folders(layout: Layout) -> Iterator[str]:
    for home in layout.homes():
        try:
            found = sorted(os.listdir(home))
        except OSError:
            continue
        for name in found:
            path = os.path.join(home, name)
            if is_name(name) and os.path.isdir(path):
                yield path


def _faults(path: str, shown: str) -> Iterator[str]:
    try:
        if not os.path.isfile(path):
            yield f"{shown} is no file."
            return
        scanned = scan(Path(path).read_bytes())
    except OSError as error:
        yield f"{shown}: {error.strerror}."
        return
    if scanned.fault is not None:
        yield f"{shown}, line {scanned.fault_line}: {scanned.fault}."
    for raw, line in zip(scanned.elements, scanned.lines, strict=True):
        try:
            message_of(raw, "")
        except ValueError as error:
            yield f"{shown}, line {line}: {fault_of(error)}."


def _listed(found: list[str]) -> str:
    more = [f"And {len(found) - _SHOWN} more."] if len(found) > _SHOWN else []
    return " ".join(found[:_SHOWN] + more)
