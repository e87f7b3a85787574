"""Delete models: at once for whoever asks, and without following a link."""

from __future__ import annotations

import os
import secrets
import shutil

from jan_core.folder.replace import sync_folder

DELETED = ".deleted-"
"""How a folder is called from the moment it is no model any more until all its files are gone."""


def remove_folder(path: str) -> None:
    """Remove a model's folder. Where it is a link, the link alone is removed. Blocks; call it in a thread.

    Raises:
        OSError: it is still there, as it was.
    """
    parent = os.path.dirname(path)
    if os.path.islink(path):
        os.unlink(path)
        sync_folder(parent)
        return
    hidden = os.path.join(parent, DELETED + secrets.token_hex(8))
    os.rename(path, hidden)
    sync_folder(parent)
    # What cannot be removed now is tried again at the next start.
    shutil.rmtree(hidden, ignore_errors=True)


def remove_files(paths: tuple[str, ...]) -> None:
    """Remove the files of one model, links and not what they lead to. Blocks; call it in a thread.

    Raises:
        OSError: one of them is still there.
    """
    for path in paths:
        os.unlink(path)
    sync_folder(os.path.dirname(paths[0]))


def clean(folder: str) -> None:
    """Finish the deletions in a models' folder that a stop or a crash interrupted. Blocks; call it in a thread."""
    try:
        names = os.listdir(folder)
    except OSError:
        return
    for name in names:
        if name.startswith(DELETED):
            shutil.rmtree(os.path.join(folder, name), ignore_errors=True)  # it refuses links
