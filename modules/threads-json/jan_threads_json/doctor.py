"""What `jan doctor` looks at: is every thread whole, does every folder hold one, and is each found under its own id."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from jan_core.check import Check, Repair, Verdict, wrong
from jan_core.endpoints.threads import Threads
from jan_core.folder.calls import DISK
from jan_core.folder.doctor import fault, folders, misnamed, names
from jan_core.folder.homes import location_fault
from jan_core.folder.layout import Layout
from jan_core.folder.locks import Locks
from jan_core.folder.objects import Damaged, read_object, write_object
from jan_core.ids import thread_time
from jan_threads_json.document import MODEL, THREAD, settings_of, thread_of

LOOKED = 10_000
"""Folders of the root that are looked at for lost threads, at most."""
DEEPEST = 4
"""Names on the way from the root to a folder that is looked at, at most."""


def checks(root: Path) -> list[Check]:
    """Return the checks of the threads of a root."""
    layout = Layout(root)
    return [
        Check("threads-json: every thread can be read", partial(_readable, layout)),
        Check("threads-json: every folder holds a thread", partial(_whole, layout)),
        Check("threads-json: no thread lies where nobody looks", partial(_found, layout)),
        Check("threads-json: no two threads have one id", partial(_unlike, layout)),
    ]


def _readable(layout: Layout) -> Verdict:
    found, repairs = [], []
    for folder in folders(layout.homes()):
        for name, look in ((THREAD, _look_at_thread), (MODEL, _look_at_model)):
            try:
                look(folder)
            except FileNotFoundError:
                continue
            except (Damaged, OSError) as error:
                found.append(fault(os.path.join(folder, name), error))
                damaged = name == THREAD and isinstance(error, Damaged)
                if damaged and thread_time(os.path.basename(folder)) is not None:
                    repairs.append(_repair(layout, folder, found[-1]))
    if not found:
        return Verdict(True, "No file of a thread is damaged.")
    return wrong(found, "Mend the files in an editor, or move them away.", repairs)


def _whole(layout: Layout) -> Verdict:
    found, repairs = [], []
    for folder in folders(layout.homes()):
        if os.path.lexists(os.path.join(folder, THREAD)):
            continue
        what = f"{folder} has no {THREAD}, so that nobody sees what is in it."
        found.append(what)
        if not os.path.islink(folder) and not os.listdir(folder):
            question = f"{folder} is empty. Remove it?"
            repairs.append(Repair(question, partial(_remove_empty, folder)))
        elif thread_time(os.path.basename(folder)) is not None:
            repairs.append(_repair(layout, folder, what))
    for home in layout.homes():
        for name in Threads.reserved:
            if os.path.isdir(os.path.join(home, name)):
                found.append(f"{os.path.join(home, name)}: the name cannot be a thread's id; the API has that path.")
    for path in misnamed(layout.homes()):
        found.append(f"{path}: the name cannot be a thread's id; use letters A to Z, digits, '.', '_' and '-'.")
    if not found:
        return Verdict(True, "Every folder among the threads holds one.")
    remedy = (
        f'Write a {THREAD} into each, such as {{"created_at": {int(time.time())}}}, rename the folder, or move it away.'
    )
    return wrong(found, remedy, repairs)


def _found(layout: Layout) -> Verdict:
    found, repairs = [], []
    try:
        for name in layout.noted.read()[0]:
            why = location_fault(name)
            if why is not None:
                found.append(f"{layout.noted.path} names {ascii(name)[:100]}, {why}.")
    except FileNotFoundError:
        pass
    except (Damaged, OSError) as error:
        found.append(fault(layout.noted.path, error))
    for home in _lost(layout):
        found.append(f"{home} holds threads, and nothing says that threads lie there.")
        question = f"{found[-1]} Note it in {layout.noted.path}, so that they are found?"
        repairs.append(Repair(question, partial(_note, layout, home)))
    if not found:
        return Verdict(True, "Threads lie nowhere but where they are looked for.")
    return wrong(found, f"Move the threads into {layout.threads}; of a damaged note, mend or remove the file.", repairs)


def _lost(layout: Layout) -> Iterator[str]:
    """The folders of the root that could be homes of threads, hold some, and are none."""
    homes = set(layout.homes())
    below, left = [layout.root], LOOKED
    while below:
        folder = below.pop()
        for name in names(folder):
            path = os.path.join(folder, name)
            if left <= 0 or path in homes or os.path.islink(path) or location_fault(layout.shown(path)) is not None:
                continue
            if not os.path.isdir(path):
                continue
            left -= 1
            if any(os.path.exists(os.path.join(path, one, THREAD)) for one in names(path)):
                yield path
            elif path.count(os.sep) - layout.root.count(os.sep) < DEEPEST:
                below.append(path)


def _note(layout: Layout, home: str) -> str:
    layout.make_home(home)
    return f"{layout.shown(home)} is noted in {layout.noted.path}."


def _unlike(layout: Layout) -> Verdict:
    found = []
    seen: dict[str, str] = {}
    for folder in folders(layout.homes()):
        name = os.path.basename(folder)
        twin = seen.setdefault(name.lower(), folder)
        if twin == folder:
            continue
        if os.path.basename(twin) == name:
            found.append(f"{folder} is hidden by {twin}, which has the same id.")
        else:
            found.append(f"{folder} has the name of {twin}, but for upper and lower case.")
    if not found:
        return Verdict(True, "Every thread has an id of its own.")
    return wrong(found, "Rename or move away one of the two; the folder's name is the thread's id.")


def _look_at_thread(folder: str) -> None:
    path = os.path.join(folder, THREAD)
    values, _, content = read_object(path)
    thread_of(os.path.basename(folder), path, values, content, None)


def _look_at_model(folder: str) -> None:
    path = os.path.join(folder, MODEL)
    values, _, content = read_object(path)
    settings_of(path, values, content)


def _repair(layout: Layout, folder: str, what: str) -> Repair:
    question = f"{what} Write a new {THREAD} with the time that the folder's name tells, and keep the old file?"
    return Repair(question, partial(_write_new, layout, folder))


def _write_new(layout: Layout, folder: str) -> str:
    name, path = os.path.basename(folder), os.path.join(folder, THREAD)
    layout.check_writable(path)
    with Locks(Path(layout.root)).hold(name):
        if not _is_damaged(partial(_look_at_thread, folder)):
            return f"{path} is in order by now; nothing was changed."
        kept = ""
        if os.path.lexists(path):
            broken = f"{path}.broken-{int(time.time())}"
            DISK.replace(path, broken)
            kept = f" The old file is {broken}."
        write_object(path, {"id": name, "object": "thread", "created_at": thread_time(name), "metadata": {}})
    return f"{path} was written.{kept}"


def _is_damaged(look: Callable[[], None]) -> bool:
    try:
        look()
    except (Damaged, FileNotFoundError):
        return True
    return False


def _remove_empty(folder: str) -> str:
    DISK.rmdir(folder)
    DISK.sync_folder(os.path.dirname(folder))
    return f"{folder} was removed."
