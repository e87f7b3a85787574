"""What `jan doctor` looks at: is the default assistant there, and can every assistant be used."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

from jan_assistants_json.document import MODEL, assistant_of, settings_beside
from jan_core.check import Check, Verdict
from jan_core.errors import InvalidRequest
from jan_core.folder.doctor import fault, folders, listed, names
from jan_core.folder.layout import ASSISTANT_FILE, Layout
from jan_core.folder.names import is_name
from jan_core.folder.objects import Damaged, read_object


def checks(root: Path) -> list[Check]:
    """Return the checks of the assistants of a root."""
    layout = Layout(root)
    return [
        Check("assistants-json: every assistant can be read", partial(_readable, layout)),
        Check("assistants-json: every folder holds an assistant", partial(_whole, layout)),
    ]


def _readable(layout: Layout) -> Verdict:
    found, count = [], 0
    for folder in folders([layout.assistants]):
        path, model = os.path.join(folder, ASSISTANT_FILE), os.path.join(folder, MODEL)
        try:
            values, _, content = read_object(path)
            assistant_of(os.path.basename(folder), path, values, content, None)
            count += 1
            layout.location(values.get("thread_location"), os.path.basename(folder))
        except FileNotFoundError:
            continue
        except InvalidRequest as error:
            found.append(f"{path}: {error.message}")
        except (Damaged, OSError) as error:
            found.append(fault(path, error))
        try:
            values, _, content = read_object(model)
            settings_beside(model, values, content)
        except FileNotFoundError:
            continue
        except (Damaged, OSError) as error:
            found.append(fault(model, error))
    if not found:
        return Verdict(True, f"{layout.assistants} holds {count} assistant{'' if count == 1 else 's'}.")
    return Verdict(False, listed(found), "Mend the files in an editor, or move them away.")


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
    for name in names(layout.assistants):
        if not name.startswith(".") and not is_name(name) and os.path.isdir(os.path.join(layout.assistants, name)):
            path = os.path.join(layout.assistants, ascii(name)[1:-1])
            found.append(f"{path}: the name cannot be an assistant's id; use letters A to Z, digits, '.', '_' and '-'.")
    if not found:
        return Verdict(True, "Every folder among the assistants holds one.")
    return Verdict(False, listed(found), "Rename the folder, write the file, or move the folder away.")
