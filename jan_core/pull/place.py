"""Into the root: a checked file gets its name, and `model.json` tells of it."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from jan_core.folder.lock_file import hold
from jan_core.folder.replace import TEMPORARY, sync_file, sync_folder
from jan_core.pull import about
from jan_core.pull.errors import PullError
from jan_core.pull.part import BLOCK, Digest, check_room
from jan_core.pull.progress import Progress
from jan_core.pull.source import Source

DOWNLOADS = ".downloads"
"""The folder in `models/` for what is unfinished."""


class Place:
    """Where one file goes in the root. Building it checks everything that can be known before the file is there.

    Args:
        models: the root's `models` folder; it exists.
        model_id: the model's folder, a checked name.
        file_name: a checked name.
        source: where the file comes from.
        url: the same for `model.json`, with the version that it turned out to be.
        owner: for `owned_by`.

    Raises:
        PullError: something else is there already, or the folder is no place to write to.
    """

    def __init__(self, models: Path, model_id: str, file_name: str, source: Source, url: str, owner: str) -> None:
        self.models = models
        self.model_id = model_id
        self.folder = models / model_id
        self.path = self.folder / file_name
        self._source = source
        self._url = url
        self._owner = owner
        self.check()

    def check(self) -> None:
        """See that the file may go here.

        Raises:
            PullError: see the class.
        """
        name = self.model_id
        for other in self.models.iterdir():
            if other.name != name and other.name.casefold() == name.casefold():
                raise PullError(
                    f"{other.name} is here already, and {name} differs only in capitals. Use another --name."
                )
        if not self.folder.resolve().is_relative_to(self.models.resolve()):
            raise PullError(f"{self.folder} is a link that leaves the root, and is not written to. Use another --name.")
        if self.folder.exists() and not self.folder.is_dir():
            raise PullError(f"{self.folder} is no folder. Move it away, or use another --name.")
        known = about.entries(about.read(self.folder))
        if not os.path.lexists(self.path) or self._is_same_file():
            return
        for entry in known:
            if entry.filename == self.path.name and self._source.is_recorded_as(entry.url):
                return
        raise PullError(
            f"{self.path} is here already, from somewhere else. Use another --name, or remove it first:"
            f" jan models rm {name}"
        )

    def move(self, part: Path, found: Digest) -> None:
        """Give a checked file its name, in one step.

        Raises:
            PullError: something came into its way, or a program holds the old file open.
            OSError: the disk failed.
        """
        with hold(self.models / DOWNLOADS / "place.lock", wait=True):
            self.check()
            self.folder.mkdir(exist_ok=True)
            try:
                os.replace(part, self.path)
            except PermissionError as error:
                raise PullError(
                    f"{self.path} cannot be replaced: {error.strerror}. Stop Jan, and pull again."
                ) from None
            sync_folder(self.folder)
            sync_folder(self.models)
            self._record(found)

    def link(self, original: Path, found: Digest, progress: Progress) -> None:
        """Make the name lead to a file elsewhere: a symbolic link, else a hard one, else a copy.

        Raises:
            PullError: something came into its way; or the disk is too small for the copy; or the file changed.
            OSError: the disk failed.
        """
        if not self._is_same_file():
            temporary = self.models / DOWNLOADS / (TEMPORARY + secrets.token_hex(8))
            try:
                _link_or_copy(original, temporary, found, progress)
                self.move(temporary, found)
            finally:
                temporary.unlink(missing_ok=True)
            return
        with hold(self.models / DOWNLOADS / "place.lock", wait=True):
            self._record(found)

    def _is_same_file(self) -> bool:
        path = getattr(self._source, "path", None)
        return path is not None and self.path.exists() and os.path.samefile(path, self.path)

    def _record(self, found: Digest) -> None:
        entry = about.Entry(self.path.name, self._url, found.sha256)
        about.record(self.folder, self.model_id, entry, self._owner)


def _link_or_copy(original: Path, target: Path, found: Digest, progress: Progress) -> None:
    # Windows wants a right for symbolic links that few users have; some file systems know neither kind.
    try:
        os.symlink(original, target)
        return
    except (OSError, NotImplementedError):
        pass
    try:
        os.link(original, target)
        progress.note("Links are refused here, so the file got a second name (a hard link).")
        return
    except (OSError, NotImplementedError):
        pass
    check_room(target.parent, found.size)
    progress.note("Links are refused here, so the file is copied.")
    progress.start(f"Copying {original.name}", found.size)
    with original.open("rb") as source, target.open("wb") as copy:
        while block := source.read(BLOCK):
            copy.write(block)
            progress.advance(len(block))
        copy.flush()
        sync_file(copy.fileno())
    if target.stat().st_size != found.size:
        raise PullError(f"{original} changed while it was read. Pull it again when it is finished.")
