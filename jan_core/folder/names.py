"""Ids as names of folders and files: one rule on every operating system, checked before a name touches a path.

A name is made of the letters A to Z and a to z, digits, `.`, `_` and `-`. Letters of other scripts are left out on
purpose: many look the same, and file systems disagree about which spellings of one are the same name.
"""

from __future__ import annotations

import re
from functools import lru_cache

from jan_core.errors import InvalidRequest

LONGEST_NAME = 128
"""Characters of a name, at most."""
LONGEST_MODEL_ID = 512
"""Characters of a model's id over the API, at most."""

_NAME = re.compile(r"[A-Za-z0-9_-](?:[A-Za-z0-9._-]{0,126}[A-Za-z0-9_-])?")
# Windows opens the device whatever follows the first dot: `NUL.gguf` is `NUL`.
_DEVICE = re.compile(r"(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\..*)?", re.IGNORECASE)
_DRIVE = re.compile(r"(?:^|[/:])[^/:]:")
_SHOWN = 60


def is_name(name: str) -> bool:
    """True where `check_name` returns; for listings, which pass over what is not a name."""
    return len(name) <= LONGEST_NAME and _is_name(name)


@lru_cache(4096)  # each request asks several times of the same few
def _is_name(name: str) -> bool:
    return _NAME.fullmatch(name) is not None and _DEVICE.fullmatch(name) is None


def check_name(name: str, *, param: str | None = None) -> str:
    """Return `name` where it may name a folder or a file of the root.

    Args:
        name: an id made by a person or sent by a client.
        param: the request field it came from.

    Returns:
        The name, unchanged; its case is kept.

    Raises:
        InvalidRequest: it has characters other than ASCII letters, digits, `.`, `_` and `-`; or none, or more than
            128; or it begins or ends with a dot; or Windows takes it for a device.
    """
    if is_name(name):
        return name
    raise InvalidRequest(f"{_show(name)} cannot be a name: {_fault(name)}.", param=param, code="invalid_id")


def check_model_id(model_id: str, *, param: str | None = "model") -> str:
    """Return `model_id` where it is an id that a model can have.

    It is one or more names (see `check_name`) with `/` or `:` between them. `folder` and `folder:file-stem` are models
    of the root; an id with `/`, such as `owner/name`, belongs to an upstream server and names no folder here.

    Raises:
        InvalidRequest: a part of it is not a name; or it has more than 512 characters; or one character stands before
            a colon, as in `C:x`, which Windows takes for a drive.
    """
    fault = None
    if len(model_id) > LONGEST_MODEL_ID:
        fault = f"it has {len(model_id)} characters, and {LONGEST_MODEL_ID} are the most"
    elif _DRIVE.search(model_id):
        fault = "one character before a colon is a drive on Windows"
    else:
        for part in re.split("[/:]", model_id):
            if not is_name(part):
                fault = _fault(part) if part == model_id else f"in its part {_show(part)}, {_fault(part)}"
                break
    if fault is None:
        return model_id
    raise InvalidRequest(f"{_show(model_id)} cannot be the id of a model: {fault}.", param=param, code="invalid_id")


def split_model_id(model_id: str) -> tuple[str, str | None] | None:
    """Split a model's id into its folder and, where it has one, the stem of a file in it.

    Returns:
        `("folder", None)` or `("folder", "file-stem")`; None where the id is good but names no folder of the root.

    Raises:
        InvalidRequest: as `check_model_id`.
    """
    folder, *stems = check_model_id(model_id).split(":")
    if "/" in model_id or len(stems) > 1:
        return None
    return folder, stems[0] if stems else None


def _fault(name: str) -> str:
    if not name:
        return "it is empty"
    if len(name) > LONGEST_NAME:
        return f"it has {len(name)} characters, and {LONGEST_NAME} are the most"
    if _DEVICE.fullmatch(name):
        return "Windows takes it for a device"
    other = re.search(r"[^A-Za-z0-9._-]", name)
    if other:
        return f"{other.group()!a} is none of the letters A to Z and a to z, the digits, '.', '_' and '-'"
    return "it begins or ends with a dot"


def _show(text: str) -> str:
    # ascii(): a lone surrogate or a control character must not reach a log or a reply as it is.
    return ascii(text) if len(text) <= _SHOWN else ascii(text[:_SHOWN]) + "…"
