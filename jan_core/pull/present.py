"""Is it here already? Answered from `model.json` and the files, without asking anybody on the network."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from jan_core.folder.names import is_name
from jan_core.pull import about
from jan_core.pull.errors import PullError
from jan_core.pull.part import Digest, digest
from jan_core.pull.progress import Progress
from jan_core.pull.source import Local, Source


@dataclass(frozen=True)
class Present:
    """A file of the root that came from the source, and is as it came."""

    model_id: str
    path: Path
    digest: Digest


def find(models: Path, source: Source, name: str | None, sha256: str | None, progress: Progress) -> list[Present]:
    """The files that an earlier pull of `source` brought, read and compared with what was recorded then.

    Args:
        models: the root's `models` folder.
        source: what is asked for.
        name: look only at the model with this id.
        sha256: only a file with this hash will do.
        progress: told while files are read.

    Returns:
        All files of the source; none where one of them is missing, so that it is pulled again.

    Raises:
        PullError: a file is not what was pulled any more. It may be somebody's work, so it is not overwritten.
    """
    found = []
    for folder in sorted(models.iterdir()):
        if not is_name(folder.name) or name not in (None, folder.name):
            continue
        try:
            known = about.entries(about.read(folder))
        except PullError:
            continue  # a broken file costs its own model only
        for entry in known:
            if not source.is_recorded_as(entry.url) or sha256 not in (None, entry.sha256):
                continue
            path = folder / entry.filename
            if not entry.sha256 or not is_name(entry.filename) or not path.is_file():
                return []
            is_now = digest(path, f"Checking {entry.filename}", progress)
            if is_now.sha256 != entry.sha256:
                if isinstance(source, Local):
                    return []
                raise PullError(
                    f"{path} is not what was pulled any more (SHA-256 {is_now.sha256}, was {entry.sha256})."
                    f" To pull it again, remove it first: jan models rm {folder.name}"
                )
            found.append(Present(folder.name, path, is_now))
    return found
