"""What `jan doctor` looks at: is the default assistant there, and can every assistant be used."""

from __future__ import annotations

import os
import time
from functools import partial
from pathlib import Path

from jan_assistants_json.document import DEFAULT, MODEL, assistant_of, default_values, settings_beside
from jan_core.check import Check, Repair, Verdict, wrong
from jan_core.errors import InvalidRequest
from jan_core.folder.calls import DISK
from jan_core.folder.doctor import fault, folders, misnamed
from jan_core.folder.layout import ASSISTANT_FILE, Layout
from jan_core.folder.locks import Locks
from jan_core.folder.objects import Damaged, read_object, write_object


def checks(root: Path) -> list[Check]:
    """Return the checks of the assistants of a root."""
    layout = Layout(root)
    return [
        Check("assistants-json: every assistant can be read", partial(_readable, layout)),
        Check("assistants-json: every folder holds an assistant", partial(_whole, layout)),
    ]


def _readable(layout: Layout) -> Verdict:
    found, repairs, count = [], [], 0
    for folder in folders([layout.assistants]):
        path, model = os.path.join(folder, ASSISTANT_FILE), os.path.join(folder, MODEL)
        try:
            _look_at_assistant(path)
            count += 1
            layout.new_location(read_object(path)[0].get("thread_location"), os.path.basename(folder))
        except FileNotFoundError:
            continue
        except InvalidRequest as error:
            found.append(f"{path}: {error.message}")
        except (Damaged, OSError) as error:
            found.append(fault(path, error))
            if os.path.basename(folder) == DEFAULT and isinstance(error, Damaged):
                question = f"{found[-1]} Write a new one, as at the first start, and keep the old file?"
                repairs.append(Repair(question, partial(_write_new, layout, path)))
        try:
            values, _, content = read_object(model)
            settings_beside(model, values, content)
        except FileNotFoundError:
            continue
        except (Damaged, OSError) as error:
            found.append(fault(model, error))
    if not found:
        return Verdict(True, f"{layout.assistants} holds {count} assistant{'' if count == 1 else 's'}.")
    return wrong(found, "Mend the files in an editor, or move them away.", repairs)


def _whole(layout: Layout) -> Verdict:
    found = []
    seen: dict[str, str] = {}
    for folder in folders([layout.assistants]):
        name = os.path.basename(folder)
        twin = seen.setdefault(name.lower(), name)
        if twin != name:
            found.append(f"{folder} has the name of {twin}, but for upper and lower case.")
        if not os.path.lexists(os.path.join(folder, ASSISTANT_FILE)):
            found.append(f"{folder} has no {ASSISTANT_FILE}.")
    for path in misnamed([layout.assistants]):
        found.append(f"{path}: the name cannot be an assistant's id; use letters A to Z, digits, '.', '_' and '-'.")
    if not found:
        return Verdict(True, "Every folder among the assistants holds one.")
    return wrong(found, "Rename the folder, write the file, or move the folder away.")


def _look_at_assistant(path: str) -> None:
    values, _, content = read_object(path)
    assistant_of(os.path.basename(os.path.dirname(path)), path, values, content, None)


def _write_new(layout: Layout, path: str) -> str:
    layout.check_writable(path)
    with Locks(Path(layout.root)).hold(f"assistant {DEFAULT}"):
        try:
            _look_at_assistant(path)
        except Damaged:
            broken = f"{path}.broken-{int(time.time())}"
            DISK.replace(path, broken)
            write_object(path, default_values())
            return f"{path} was written. The old file is {broken}."
        except FileNotFoundError:
            pass
    return f"{path} is in order by now, or gone; nothing was changed."
