"""An unfinished file in `models/.downloads`, and what is known of it: enough to go on later."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from jan_core.folder.replace import replace_file, sync_file
from jan_core.pull.errors import PullError
from jan_core.pull.progress import Progress, in_words

MAGICS = (b"GGUF", b"lmgg", b"fmgg", b"tjgg", b"ccgg")
"""The first four bytes of every GGUF file (ggml's docs/gguf.md), and of the GGML formats before it."""
BLOCK = 1 << 20
"""Bytes read at a time."""
SPARE = 64 << 20
"""Bytes that a pull leaves free on the disk."""


@dataclass(frozen=True)
class Digest:
    """What a whole file is: its SHA-256 in hexadecimal, and its bytes."""

    sha256: str
    size: int


@dataclass(frozen=True)
class Known:
    """What the server said of the file when the part was begun.

    Args:
        url: the source, without secrets.
        validator: a strong ETag, or a Last-Modified date, for `If-Range`; empty where the server gave neither.
        total: bytes of the whole file; None where it was not said.
        sha256: the hash that the hub gave, if it did.
    """

    url: str
    validator: str
    total: int | None
    sha256: str | None


class Part:
    """The file `<key>.part` and its companion `<key>.json`. Use it as a context manager; leaving keeps both files.

    Args:
        path: of the `.part`; its folder exists.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = 0
        self.known: Known | None = None
        self._about = path.with_suffix(".json")
        self._hash = hashlib.sha256()
        self._file: BinaryIO | None = None

    def __enter__(self) -> Part:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def load(self, url: str, progress: Progress) -> None:
        """Take up what an earlier attempt left for `url`; leaves `size` 0 where that is nothing that can be used."""
        try:
            found = json.loads(self._about.read_bytes())
            known = Known(**found)
            total = self.path.stat().st_size
        except (OSError, ValueError, TypeError):
            return
        if known.url != url or not known.validator or not 0 < total <= (known.total or total):
            return
        progress.start(f"Reading the {in_words(total)} that are here already", total)
        self._file = self.path.open("r+b")
        for block in blocks(self._file):
            self._hash.update(block)
            self.size += len(block)
            progress.advance(len(block))
        self.known = known

    def begin(self, known: Known) -> None:
        """Start from nothing, for a file of which `known` is known."""
        self.close()
        self.size, self._hash, self.known = 0, hashlib.sha256(), known
        self._file = self.path.open("wb")
        replace_file(self._about, json.dumps(vars(known)).encode())

    def add(self, data: bytes) -> None:
        """Append bytes.

        Raises:
            PullError: the first four show that this will be no model file; the part is gone.
        """
        assert self._file is not None, "begin() or load() comes first"
        self._file.write(data)
        self._hash.update(data)
        before, self.size = self.size, self.size + len(data)
        if before < 4 <= self.size:
            self.check_start()

    def check_start(self) -> None:
        """Look at the first bytes.

        Raises:
            PullError: they are not a model's; the part is gone.
        """
        if self._file is not None:
            self._file.flush()
        with self.path.open("rb") as file:
            head = file.read(64)
        if not head.startswith(MAGICS):
            self.delete()
            raise PullError(no_model(head))

    def finish(self) -> Digest:
        """Bring every byte to the disk and close.

        Raises:
            PullError: this is no model file; the part is gone.
            OSError: the disk failed.
        """
        self.check_start()
        assert self._file is not None, "check_start() found a file"
        self._file.flush()
        sync_file(self._file.fileno())
        self.close()
        return Digest(self._hash.hexdigest(), self.size)

    def close(self) -> None:
        """Close the file and keep it."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def forget(self) -> None:
        """Remove the companion, once the file has got its name."""
        self._about.unlink(missing_ok=True)

    def delete(self) -> None:
        """Remove both files."""
        self.close()
        self.size, self._hash, self.known = 0, hashlib.sha256(), None
        self.path.unlink(missing_ok=True)
        self.forget()


def blocks(file: BinaryIO) -> Iterable[bytes]:
    """The rest of a file, in blocks of `BLOCK` bytes."""
    while block := file.read(BLOCK):
        yield block


def digest(path: Path, label: str, progress: Progress) -> Digest:
    """Read a whole file and tell its hash and size."""
    found = hashlib.sha256()
    size = 0
    with path.open("rb") as file:
        progress.start(label, path.stat().st_size)
        for block in blocks(file):
            found.update(block)
            size += len(block)
            progress.advance(len(block))
    return Digest(found.hexdigest(), size)


def check_room(folder: Path, size: int) -> None:
    """See that `size` more bytes fit on the disk of `folder`.

    Raises:
        PullError: they do not.
    """
    free = shutil.disk_usage(folder).free
    if free < size + SPARE:
        raise PullError(
            f"The disk of {folder} has {in_words(free)} free, and {in_words(size + SPARE)} are needed."
            " Make room, or use another root (--root)."
        )


def no_model(head: bytes) -> str:
    """The sentence for a file that begins with `head` and so is no GGUF or GGML file."""
    if not head:
        return "The file is empty. Check where it comes from."
    if head.lstrip()[:1] == b"<":
        return "This is a web page, not a GGUF file. Give the link that downloads the file, not the page about it."
    return f"This is no GGUF file: it begins with {head[:4]!r}, not with {MAGICS[0]!r}. Give the link to a .gguf file."
