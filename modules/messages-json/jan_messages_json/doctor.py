"""What `jan doctor` looks at: message files and messages that are damaged, and what was kept of broken files."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from pydantic_core import from_json

from jan_core.check import Check, Repair, Verdict, wrong
from jan_core.folder.doctor import folders
from jan_core.folder.doctor import names as names_in
from jan_core.folder.elements import scan
from jan_core.folder.layout import Layout
from jan_core.folder.lists import BROKEN, Lists
from jan_core.folder.locks import Locks
from jan_core.ids import new_id
from jan_messages_json.store import FILE
from jan_messages_json.stored import fault_of, message_of, names, with_id


def checks(root: Path) -> list[Check]:
    """Return the checks of the message files of a root."""
    return [
        Check("messages-json: every message can be shown", partial(_readable, root)),
        Check("messages-json: nothing was left out", partial(_kept, root)),
    ]


def _readable(root: Path) -> Verdict:
    layout, faults, repairs = Layout(root), list[str](), list[Repair]()
    count = 0
    for folder in folders(layout.homes()):
        path = os.path.join(folder, FILE)
        if os.path.lexists(path):
            count += 1
            faults += _faults(path, layout.shown(path))
            if _is_broken(path):
                question = f"Put {layout.shown(path)} in order, and keep the broken file beside it?"
                repairs.append(Repair(question, partial(_mend, layout, path)))
            elif _copies(path):
                question = f"Give every message of {layout.shown(path)} an id of its own?"
                repairs.append(Repair(question, partial(_part, layout, path)))
    if not faults:
        return Verdict(True, f"{count} files of messages are in order." if count else "There are no messages yet.")
    remedy = "Mend what is named in an editor; the next message written puts the rest right."
    return wrong(faults, remedy, repairs)


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
    return (
        f"{shown} has {count} whole message{'' if count == 1 else 's'}; the broken file is beside it as {FILE}{BROKEN}…"
    )


def _copies(path: str) -> int:
    """How many messages of a file have the id of an older one."""
    try:
        elements = scan(Path(path).read_bytes()).elements if os.path.isfile(path) else []
    except OSError:
        return 0
    found = [id for id in map(_id_of, elements) if id is not None]
    return len(found) - len(set(found))


def _id_of(raw: bytes) -> str | None:
    try:
        values = from_json(raw)
    except ValueError:
        return None
    id = values.get("id") if isinstance(values, dict) else None
    return id if isinstance(id, str) else None


def _part(layout: Layout, path: str) -> str:
    shown = layout.shown(path)
    layout.check_writable(path)
    seen, changed = set[str | None](), 0
    with Lists(Locks(Path(layout.root)), names).change(path, os.path.basename(os.path.dirname(path))) as change:
        elements = change.elements()
        for place, raw in enumerate(elements):
            id = _id_of(raw)
            if id is not None and id in seen:
                elements[place] = with_id(raw, new_id("msg_"))
                changed += 1
            seen.add(id)
        if changed:
            change.replace(elements)
    return f"{changed} {'message' if changed == 1 else 'messages'} of {shown} got new ids."


def _kept(root: Path) -> Verdict:
    layout = Layout(root)
    found = [
        layout.shown(os.path.join(folder, name))
        for folder in folders(layout.homes())
        for name in names_in(folder)
        if name.startswith(FILE + BROKEN)
    ]
    if not found:
        return Verdict(True, "No broken file was set aside.")
    what = "Of files that were broken, or whose last write broke off, these copies were kept:"
    remedy = f"Take out of them what {FILE} beside them lacks, then delete them."
    return Verdict(False, f"{what} {wrong(found, '').why}", remedy, found=tuple(found))


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
    first: dict[str, int] = {}
    for raw, line in zip(scanned.elements, scanned.lines, strict=True):
        try:
            id = message_of(raw, "").id
        except ValueError as error:
            yield f"{shown}, line {line}: {fault_of(error, raw)}."
            continue
        if first.setdefault(id, line) != line:
            yield f"{shown}, line {line}: the id {id!a} is that of the message on line {first[id]}."
