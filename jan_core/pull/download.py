"""A file over HTTP: goes on where it was cut, and is checked before anybody can take it for the model."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

from jan_core.pull.errors import PullError
from jan_core.pull.part import Digest, Known, Part, check_room
from jan_core.pull.progress import Progress, in_words
from jan_core.pull.request import Answer, Broken, Limits, get
from jan_core.pull.source import Web

if TYPE_CHECKING:
    import httpx2

_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")
_BUSY = frozenset({408, 425, 429, 500, 502, 503, 504})


def download(web: Web, part: Part, *, sha256: str | None, progress: Progress, limits: Limits | None = None) -> Digest:
    """Fetch the whole file into `part`, from where an earlier attempt left it.

    Args:
        web: where it is.
        part: where it goes.
        sha256: what it must hash to, in lower-case hexadecimal; None where only the hub may know.
        progress: told of every block.
        limits: how patient to be.

    Returns:
        The file's hash and size. The bytes are on the disk, begin as GGUF files do, and have the hash that was asked
        for or that the hub told.

    Raises:
        PullError: it did not work. The part is kept where going on makes sense, and deleted where its bytes are wrong.
        OSError: the disk failed.
    """
    limits = limits or Limits()
    part.load(web.record, progress)
    best, failures = part.size, 0
    expected: str | None = None
    while True:
        try:
            expected = _attempt(web, part, sha256, progress, limits)
            break
        except Broken as error:
            if part.size > best:
                best, failures = part.size, 0
            if failures == len(limits.waits):
                raise PullError(f"{_capital(error)}. {kept(part)}") from None
            wait = limits.waits[failures]
            failures += 1
            progress.note(f"{_capital(error)}; trying again.")
            time.sleep(wait)  # noqa: TID251  a server that is busy tells no event to wait for
    found = part.finish()
    if expected and found.sha256 != expected:
        part.delete()
        raise PullError(
            f"The download has the wrong hash and was deleted: SHA-256 {found.sha256}, expected {expected}."
            " Try again; if it stays so, do not trust this file."
        )
    return found


def kept(part: Part) -> str:
    """A sentence on what a stopped download leaves behind."""
    if not part.size:
        return "Nothing was downloaded yet; try again later."
    total = part.known.total if part.known else None
    of = f" of {in_words(total)}" if total else ""
    return f"{in_words(part.size)}{of} are kept: the same command goes on from there."


def _attempt(web: Web, part: Part, sha256: str | None, progress: Progress, limits: Limits) -> str | None:
    """One connection. Returns the hash that the file must have, if anybody told."""
    known = part.known
    if known is not None and part.size == known.total:
        return _agree(sha256, known.sha256)
    headers = {}
    if known is not None and known.validator and part.size:
        headers = {"Range": f"bytes={part.size}-", "If-Range": known.validator}
    with get(web, headers, limits) as answer:
        told = _receive(web, part, answer, sha256, progress)
    if part.known is not None and part.known.total not in (None, part.size):
        raise Broken("the connection was cut")
    return _agree(sha256, told)


def _receive(web: Web, part: Part, answer: Answer, sha256: str | None, progress: Progress) -> str | None:
    response = answer.response
    _check_status(web, part, response)
    _agree(sha256, answer.sha256)
    found = Known(web.record, _validator(response), _total(response), answer.sha256)
    if response.status_code == 206:
        _check_range(part, found, response)
        check_room(part.path.parent, (found.total or part.size) - part.size)
    else:
        if found.total is None and not (sha256 or answer.sha256 or _is_chunked(response)):
            raise PullError(
                f"{web.record} does not tell how long the file is, so that a cut would go unseen. Give its --sha256."
            )
        check_room(part.path.parent, found.total or 0)
        part.begin(found)
    progress.start(f"Downloading {web.file_name or web.record}", found.total, part.size)
    for data in answer.body():
        part.add(data)
        progress.advance(len(data))
    return found.sha256


def _check_range(part: Part, found: Known, response: httpx2.Response) -> None:
    """See that a partial answer continues what is here; otherwise start over with the next attempt."""
    asked = _RANGE.fullmatch(response.headers.get("content-range", ""))
    known = part.known
    changed = known is None or found.total != known.total or (found.validator or known.validator) != known.validator
    if changed or asked is None or int(asked[1]) != part.size:
        part.delete()
        raise Broken("the file on the server has changed, so the download starts over")


def _check_status(web: Web, part: Part, response: httpx2.Response) -> None:
    status = response.status_code
    if status == 200 or (status == 206 and part.size):
        return
    if status == 416 and part.size:
        part.delete()
        raise Broken("the server does not know this part of the file any more, so the download starts over")
    said = f"{'The hub' if web.hub else web.owner} answered {status}"
    if status in _BUSY:
        raise Broken(said)
    what = {
        401: "a token is needed, or the one that was sent is not good",
        403: "this file is not for everybody",
        404: "there is no such file",
        410: "the file is gone",
    }.get(status, "which is no file")
    todo = "Check the spelling."
    if status in (401, 403):
        todo = "Put a user and password into the address if you have them."
    if web.hub and status in (401, 403):
        todo = "Accept the model's terms on its page if it has some, and set HF_TOKEN to a token that may read it."
    raise PullError(f"{said} for {web.record}: {what}. {todo}")


def _agree(asked: str | None, told: str | None) -> str | None:
    if asked and told and asked != told:
        raise PullError(
            f"The hub's file has SHA-256 {told}, and {asked} was asked for. Nothing was installed: it is another file."
        )
    return asked or told


def _validator(response: httpx2.Response) -> str:
    tag: str = response.headers.get("etag", "")
    # A weak one promises the same meaning, not the same bytes.
    if tag.startswith('"'):
        return tag
    return str(response.headers.get("last-modified", ""))


def _total(response: httpx2.Response) -> int | None:
    if response.status_code == 206:
        found = _RANGE.fullmatch(response.headers.get("content-range", ""))
        return int(found[2]) if found and found[2] != "*" else None
    length: str = response.headers.get("content-length", "")
    return int(length) if length.isascii() and length.isdigit() else None


def _is_chunked(response: httpx2.Response) -> bool:
    return "chunked" in response.headers.get("transfer-encoding", "").lower()


def _capital(error: Exception) -> str:
    text = str(error)
    return text[:1].upper() + text[1:]
