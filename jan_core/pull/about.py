"""`model.json`: what is known of a model, next to its files. The format is described in docs/data-format.md."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jan_core.folder.replace import replace_file
from jan_core.pull.errors import PullError
from jan_core.pull.source import is_projector, title

FILE = "model.json"
ENGINE = "llamacpp"
"""The engine for GGUF files; a person may write another one into `model.json`. Others are told by their format."""


@dataclass(frozen=True)
class Entry:
    """One element of `source`: where a file came from."""

    filename: str
    url: str
    sha256: str


def read(folder: Path) -> dict[str, Any]:
    """The object in a model's folder; an empty one where there is no file yet.

    Raises:
        PullError: the file is there and is not to be understood.
    """
    path = folder / FILE
    try:
        text = path.read_bytes().decode("utf-8-sig")
        found = json.loads(text)
    except FileNotFoundError:
        return {}
    except json.JSONDecodeError as error:
        raise PullError(
            f"{path}, line {error.lineno}: {error.msg}. Mend it or move it away, then pull again."
        ) from None
    except (OSError, ValueError, RecursionError) as error:
        raise PullError(f"{path} cannot be read: {error}. Mend it or move it away, then pull again.") from None
    if not isinstance(found, dict) or not isinstance(found.get("source", []), list):
        raise PullError(f"{path} is no object with a list as its `source`. Mend it or move it away, then pull again.")
    return found


def entries(about: dict[str, Any]) -> list[Entry]:
    """The elements of `source` that say where a file came from; others are passed over."""
    found = []
    for item in about.get("source", []):
        if isinstance(item, dict):
            texts = [item.get("filename"), item.get("url"), item.get("sha256")]
            if isinstance(texts[0], str) and isinstance(texts[1], str):
                found.append(Entry(texts[0], texts[1], texts[2].lower() if isinstance(texts[2], str) else ""))
    return found


def record(folder: Path, model_id: str, entry: Entry, owner: str) -> None:
    """Tell of a file in `model.json`.

    What the file says already stays as it is, also what is not known here; only the element of `source` for this
    file is brought up to date, and what is missing is added.

    Args:
        folder: the model's folder.
        model_id: its id.
        entry: the file, and where it came from.
        owner: for `owned_by`.

    Raises:
        PullError: the `model.json` that is there is not to be understood.
        OSError: the disk failed.
    """
    about = read(folder)
    fresh: dict[str, Any] = {
        "id": model_id,
        "object": "model",
        "created": int(time.time()),
        "owned_by": owner,
        "name": model_id if is_projector(entry.filename) else title(entry.filename),
        **({"engine": ENGINE} if entry.filename.lower().endswith(".gguf") else {}),
        "source": [],
        "settings": {},
        "parameters": {},
        "metadata": {},
    }
    for name, value in fresh.items():
        about.setdefault(name, value)
    for item in about["source"]:
        if isinstance(item, dict) and item.get("filename") == entry.filename:
            item.update(vars(entry))
            break
    else:
        about["source"].append(dict(vars(entry)))
    if is_projector(entry.filename) and isinstance(about["settings"], dict):
        about["settings"].setdefault("mmproj", entry.filename)
    text = json.dumps(about, indent=2, ensure_ascii=False) + "\n"
    replace_file(folder / FILE, text.encode("utf-8", "surrogatepass"))
