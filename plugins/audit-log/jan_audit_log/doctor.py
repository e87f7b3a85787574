"""What `jan doctor` looks at: whether the log can be written, and whether its newest lines are whole."""

from __future__ import annotations

import os
import stat
from functools import partial
from pathlib import Path
from typing import Any

from jan_audit_log.log import log_path
from jan_core.check import Check, Verdict


def checks(root: Path, settings: Any) -> list[Check]:
    """Return the check of the log's file."""
    return [Check("audit-log: the log can be written", partial(_writable, root, settings.file))]


def _writable(root: Path, file: str) -> Verdict:
    path = log_path(root, file)
    if path is None:
        return Verdict(False, f"{file} is not in the root {root}.", '[audit-log] file = "logs/audit.jsonl"')
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        folder = Path(path).parent
        while not folder.exists():
            folder = folder.parent
        if folder.is_dir() and os.access(folder, os.W_OK | os.X_OK):
            return Verdict(True, f"{path} will be made with the first change.")
        return Verdict(False, f"{path} cannot be made: {folder} cannot be written.", f"chmod u+rwx {folder}")
    except OSError as error:
        return Verdict(False, f"{path}: {error.strerror}.", "Mend that, or choose another [audit-log] file.")
    if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
        return Verdict(False, f"{path} is no plain file of one name.", f"Move it away: mv {path} {path}.old")
    if not os.access(path, os.W_OK | os.R_OK):
        return Verdict(False, f"{path} cannot be read and written.", f"chmod u+rw {path}")
    return Verdict(True, f"{path} has {found.st_size} bytes, and can be written.")
