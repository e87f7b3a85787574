"""What one folder in `models/` holds: its description, its weights (one model each), and what is wrong with it."""

from __future__ import annotations

import hashlib
import os
import re
import stat
import sys
import time
from dataclasses import dataclass, field
from typing import Any

from jan_core.folder.names import is_name
from jan_core.folder.signature import Signature, is_settled, signature
from jan_models_json.description import BadDescription, Description, read_description
from jan_models_json.ggml import begins_as_ggml, read_ggml
from jan_models_json.gguf import Header, read_header
from jan_models_json.stream import BadModelFile

DESCRIPTION = "model.json"
_PART = re.compile(r"(.+)-(\d{5})-of-(\d{5})\.gguf", re.IGNORECASE)
_SWAPPED = f"its numbers are in the other byte order than this machine's ({sys.byteorder}-endian)"


@dataclass(slots=True)
class Weights:
    """A model: one file, or one in several parts.

    Attributes:
        id: what requests call it.
        stem: of the file; with the folder it makes the id `folder:stem`.
        files: absolute paths of the parts, the first one first.
        error: what is wrong, as a sentence that names the file; None where it can be loaded.
        size: bytes of the first file.
    """

    id: str
    stem: str
    files: tuple[str, ...]
    error: str | None = None
    created: int = 0
    owned_by: str = "local"
    engine: str | None = None
    size: int = 0
    revision: str = ""
    metadata: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Contents:
    """What was found in a folder.

    Attributes:
        seen: every path that was looked at, and what it was like; the folder itself comes first.
        settled: a later change must show in `seen`.
        entries: a hash of the names in the folder.
        models: by what follows the folder's name in an id: None for the folder's own id, else a file's stem.
        problems: sentences for `jan doctor`, beyond the models' errors.
    """

    seen: list[tuple[str, Signature | None]]
    settled: bool
    entries: int = 0
    models: dict[str | None, Weights] = field(default_factory=dict)
    description: Description = field(default_factory=Description)
    mmproj: str | None = None
    problems: list[str] = field(default_factory=list)
    headers: dict[str, tuple[Signature, bool, Header | str]] = field(default_factory=dict)
    described: tuple[Signature, bool, tuple[Description, str] | str] | None = None

    def listed(self) -> list[Weights]:
        """The models that can be loaded, each once, the folder's own first."""
        own = self.models.get(None)
        return [w for stem, w in self.models.items() if w.error is None and (stem is None or w is not own)]


def read_folder(path: str, before: Contents | None = None) -> Contents:
    """Read a folder. Blocks; call it in a thread.

    Args:
        path: absolute; its last part is the model's id.
        before: what it held the last time: a model file that is as it was then is not opened again.

    Returns:
        Its contents; no models where it holds neither a description nor weights.
    """
    return _Reading(path, before).contents()


class _Reading:
    def __init__(self, path: str, before: Contents | None) -> None:
        self.now = time.time_ns()
        self.path = path
        self.name = os.path.basename(path)
        self.before = before or Contents([], False)
        self.digest = ""
        self.found = Contents([(path, signature(path))], True)
        self.signatures: dict[str, Signature | None] = {}
        self.ggml: set[str] = set()

    def contents(self) -> Contents:
        try:
            entries = os.listdir(self.path)
            self.found.entries = hash(tuple(entries))
        except (FileNotFoundError, NotADirectoryError):
            entries = []
        except OSError as error:
            entries = []
            self.found.models[None] = Weights(self.name, "", (), f"{self.path} cannot be read: {error.strerror}.")
        self._read(sorted(entry for entry in entries if not entry.startswith(".") and self._is_text(entry)))
        self.found.settled = all(is_settled(seen, self.now) for _, seen in self.found.seen)
        return self.found

    def _read(self, entries: list[str]) -> None:
        ggufs = [entry for entry in entries if entry.lower().endswith(".gguf")]
        projectors = [entry for entry in ggufs if "mmproj" in entry.lower()]
        groups = _groups([entry for entry in ggufs if entry not in projectors])
        groups.update((os.path.splitext(entry)[0], [entry]) for entry in entries if self._is_ggml(entry, groups))
        if DESCRIPTION not in entries and not groups:
            return
        error = self._describe() if DESCRIPTION in entries else None
        first = self.found.description.first
        known = (*ggufs, *(file for files in groups.values() for file in files), DESCRIPTION)
        if first is not None and first in entries and first not in known:
            groups[first] = [first]
        own = next((stem for stem, files in groups.items() if first is None or first in files), None)
        if own is None:
            missing = (
                f"`{first}`, which its {DESCRIPTION} names,"
                if first
                else "A file with the weights (*.gguf, or a GGML *.bin)"
            )
            missing = f"{missing} is not among the models' files in {self.path}."
            self.found.models[None] = Weights(self.name, "", (), error or missing)
        error = error or self._project(entries, projectors)
        taken: dict[str, str] = {}
        for stem, files in sorted(groups.items(), key=lambda group: group[0] != own):
            weights = self._weigh(stem, files, error)
            if stem == own:
                weights.id = self.name
                self.found.models[None] = weights
            twin = taken.setdefault(stem.casefold(), files[0])
            if twin != files[0]:
                self.found.problems.append(f"{weights.files[0]} has the name of {twin}, but for upper and lower case.")
            elif len(self.name) > 1 and is_name(stem):
                self.found.models[stem] = weights
            elif stem != own:
                self.found.problems.append(f"{weights.files[0]} cannot be named in a request; rename it.")

    def _is_text(self, entry: str) -> bool:
        try:
            entry.encode()
        except UnicodeEncodeError:
            self.found.problems.append(f"{os.path.join(self.path, ascii(entry))}: the name is not UTF-8; rename it.")
            return False
        return True

    def _is_ggml(self, entry: str, groups: dict[str, list[str]]) -> bool:
        """Whether a file is a GGML file by ending and first bytes; many others end in `.bin`."""
        if not entry.lower().endswith((".bin", ".ggml")) or os.path.splitext(entry)[0] in groups:
            return False
        path, seen = self._see(entry)
        known = self.before.headers.get(path)
        if (known is not None and known[0] == seen and known[1]) or begins_as_ggml(path):
            self.ggml.add(entry)
        return entry in self.ggml

    def _see(self, entry: str) -> tuple[str, Signature | None]:
        path = os.path.join(self.path, entry)
        if path not in self.signatures:
            self.signatures[path] = signature(path)
            self.found.seen.append((path, self.signatures[path]))
        return path, self.signatures[path]

    def _describe(self) -> str | None:
        """Take the description; return what is wrong with it."""
        path, seen = self._see(DESCRIPTION)
        if seen is None:
            return f"{path} is not there, or is a link to a file that is not."
        known = self.before.described
        if known is None or known[0] != seen or not known[1]:
            known = (seen, is_settled(seen, self.now), _read_description(path))
        self.found.described = known
        if isinstance(known[2], str):
            return known[2]
        self.found.description, self.digest = known[2]
        return None

    def _project(self, entries: list[str], projectors: list[str]) -> str | None:
        """Find the projector for images, as `settings.mmproj` says or by its name; return what is wrong with it."""
        named = self.found.description.settings.get("mmproj")
        if named is False or (named is None and not projectors):
            return None
        if named is not None and named is not True and (not isinstance(named, str) or named not in entries):
            return f"{os.path.join(self.path, DESCRIPTION)}: `settings.mmproj` names no file in {self.path}."
        chosen = named if isinstance(named, str) else next(iter(projectors), None)
        if chosen is None:
            return f"A projector (*mmproj*.gguf) is not in {self.path}."
        path, header = self._header(chosen)
        if isinstance(header, str):
            return header
        self.found.mmproj = path
        return None

    def _weigh(self, stem: str, files: list[str], error: str | None) -> Weights:
        paths = tuple(self._see(file)[0] for file in files)
        weights = Weights(f"{self.name}:{stem}", stem, paths, error or _incomplete(paths))
        headers: list[Header] = []
        if files[0].lower().endswith(".gguf") or files[0] in self.ggml:
            for file in files:
                header = self._header(file)[1]
                if isinstance(header, Header):
                    headers.append(header)
                else:
                    weights.error = weights.error or header
            weights.engine = "ctransformers" if any(header.early for header in headers) else "llamacpp"
        else:
            weights.error = weights.error or _unreadable(paths[0])
        described = self.found.description
        seen = self.signatures[paths[0]]
        if weights.error is not None or seen is None:
            weights.error = weights.error or f"{paths[0]} is not there, or is a link to a file that is not."
            return weights
        weights.engine = described.engine or weights.engine
        weights.size = seen[1]
        weights.metadata = dict(headers[0].metadata) if headers else {}
        weights.metadata["size"] = sum((self.signatures[path] or seen)[1] for path in paths)
        if headers:
            weights.metadata["parameter_count"] = sum(header.parameters for header in headers)
        weights.created = described.created if described.created is not None else max(0, seen[0] // 1_000_000_000)
        weights.owned_by = _owner(described, weights.metadata)
        used = [*paths, self.found.mmproj] if self.found.mmproj else paths
        known = repr([(path, self.signatures[path]) for path in used])
        weights.revision = hashlib.blake2b((known + self.digest).encode(), digest_size=12).hexdigest()
        return weights

    def _header(self, entry: str) -> tuple[str, Header | str]:
        """Return the path and the header, or a sentence that says what is wrong with the file."""
        path, seen = self._see(entry)
        known = self.before.headers.get(path)
        if seen is None:
            return path, f"{path} is not there, or is a link to a file that is not."
        if known is None or known[0] != seen or not known[1]:
            known = (seen, is_settled(seen, self.now), _read_header(path, entry in self.ggml))
        self.found.headers[path] = known
        return path, known[2]


def _read_description(path: str) -> tuple[Description, str] | str:
    try:
        _regular(path)
        return read_description(path)
    except BadDescription as error:
        return str(error)
    except OSError as error:
        return f"{path} cannot be read: {error.strerror}."


def _read_header(path: str, ggml: bool) -> Header | str:
    try:
        _regular(path)
        header = read_ggml(path) if ggml else _read_gguf(path)
    except BadModelFile as error:
        return f"{error}."
    except OSError as error:
        return f"{path} cannot be read: {error.strerror}."
    if header.big_endian != (sys.byteorder == "big"):
        return f"{path} cannot be used: {_SWAPPED}."
    return header


def _read_gguf(path: str) -> Header:
    try:
        return read_header(path)
    except BadModelFile as error:
        if error.offset == 0 and begins_as_ggml(path):  # an older file that was renamed
            return read_ggml(path)
        raise


def _unreadable(path: str) -> str | None:
    try:
        _regular(path)
    except OSError as error:
        return f"{path} cannot be read: {error.strerror}."
    return None


def _regular(path: str) -> None:
    # Opening a pipe would wait for somebody to write to it.
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise OSError(0, "it is not a regular file")


def _groups(files: list[str]) -> dict[str, list[str]]:
    """Gather the parts of models in several files, in order; a model in one file is its own only part."""
    groups: dict[str, list[str]] = {}
    for file in files:
        part = _PART.fullmatch(file)
        stem = part[1] if part else os.path.splitext(file)[0]
        if stem in groups and _count(groups[stem][0]) != _count(file):
            stem = file
        groups.setdefault(stem, []).append(file)
    return groups


def _count(file: str) -> str | None:
    part = _PART.fullmatch(file)
    return part[3] if part else None


def _incomplete(paths: tuple[str, ...]) -> str | None:
    numbers = [part for path in paths if (part := _PART.fullmatch(os.path.basename(path)))]
    if not numbers:
        return None
    there = {int(part[2]) for part in numbers}
    missing = [number for number in range(1, min(int(numbers[0][3]), 1000) + 1) if number not in there]
    if not missing:
        return None
    return f"{paths[0]} is one of {int(numbers[0][3])} parts, and part {missing[0]} is not beside it."


def _owner(described: Description, metadata: dict[str, Any]) -> str:
    author = described.metadata.get("author")
    named = described.owned_by or (author if isinstance(author, str) else None)
    return named or metadata.get("organization") or metadata.get("author") or "local"
