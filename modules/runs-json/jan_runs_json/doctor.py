"""What `jan doctor` looks at: runs whose files are damaged, and runs that go on and that nobody would find."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from jan_core.check import Check, Repair, Verdict, wrong
from jan_core.folder.doctor import fault, folders, names
from jan_core.folder.layout import Layout
from jan_core.folder.objects import Damaged, read_object
from jan_core.schemas.runs import KeptRun
from jan_runs_json.document import kept_of
from jan_runs_json.files import RUNS
from jan_runs_json.names import ENDING, run_of
from jan_runs_json.root import RunRoot


def checks(root: Path) -> list[Check]:
    """Return the checks of the runs of a root."""
    return [
        Check("runs-json: every run can be read", partial(_readable, root)),
        Check("runs-json: every run that has not ended is noted", partial(_noted, root)),
    ]


def _readable(root: Path) -> Verdict:
    layout, found, count = Layout(root), [], 0
    for folder in _folders(layout):
        for file in names(folder):
            path = os.path.join(folder, file)
            if file.startswith("."):
                continue
            if run_of(file) is None:
                found.append(f"{layout.shown(path)!a} is no run; the files of runs are called <id>{ENDING}.")
                continue
            try:
                _kept(path)
                count += 1
            except (Damaged, OSError) as error:
                found.append(fault(path, error))
    if not found:
        return Verdict(True, f"{count} runs are in order." if count else "There are no runs yet.")
    return wrong(found, "Mend the files in an editor, or move them away; each costs its own run alone.")


def _noted(root: Path) -> Verdict:
    found, repairs = [], []
    runs = RunRoot(root, lambda folder: None)
    for folder in _folders(runs.layout):
        thread_id = os.path.basename(os.path.dirname(folder))
        for file in names(folder):
            path = os.path.join(folder, file)
            run_id = run_of(file)
            if run_id is None:
                continue
            try:
                run = _kept(path).run
            except (Damaged, OSError):
                continue
            if run.ended or runs.notes.find(thread_id, may_read=True) == run_id:
                continue
            what = f"{runs.layout.shown(path)} is {run.status}, and no note says that it goes on."
            found.append(what)
            question = f"{what} Note it, so that a server takes it up, or ends it?"
            repairs.append(Repair(question, partial(_note, root, thread_id, run_id, path)))
    if not found:
        return Verdict(True, "Every run that has not ended will be found by the next start.")
    remedy = "jan doctor --repair, or write an ended `status` such as `cancelled` into the file."
    return wrong(found, remedy, repairs)


def _note(root: Path, thread_id: str, run_id: str, path: str) -> str:
    runs = RunRoot(root, lambda folder: None)
    runs.tidy(thread_id, run_id, path)
    noted = runs.notes.find(thread_id, may_read=True)
    if noted == run_id:
        return f"{run_id} is noted in {runs.layout.shown(runs.notes.folder)}/{thread_id}."
    if noted is None:
        return f"{run_id} has ended, or is gone, by now; nothing was changed."
    return f"The thread {thread_id} has another run that goes on, {noted}; nothing was changed. Write an ended status."


def _kept(path: str) -> KeptRun:
    values, _, content = read_object(path)
    folder, file = os.path.split(path)
    return kept_of(os.path.basename(os.path.dirname(folder)), file.removesuffix(ENDING), path, values, content)


def _folders(layout: Layout) -> Iterator[str]:
    for thread in folders(layout.homes()):
        folder = os.path.join(thread, RUNS)
        if os.path.isdir(folder):
            yield folder
