"""Ids and texts that no client should send, and some that only look as if."""

from __future__ import annotations

from pathlib import Path

_IDS = (
    "none",
    "",
    " ",
    ".",
    "..",
    "../x",
    "../../../../x",
    "..\\x",
    "a/b",
    "a\\b",
    "C:x",
    "C:\\x",
    "~/no-such-folder-of-yours/x",
    "$HOME/no-such-folder-of-yours/x",
    "%2e%2e%2fx",
    "a\0b",
    "a\nb",
    "a b",
    "CON",
    "nul.txt",
    "a.",
    "-rf",
    "é",
    "e\u0301",
    "\u202etxt",
    "\ud800",
    "\U0001f600",
    "' OR 1=1 --",
    '"; DROP TABLE messages; --',
    "{}",
    "*",
    "x" * 129,
    "x" * 5000,
)


def ids(folder: Path) -> tuple[str, ...]:
    """Ids of nothing: paths, devices, commands, and what is too long. None of them is found, and none does anything.

    An implementation that falls for one of them must not do harm either: paths lead into a folder made for the test.

    Args:
        folder: where an absolute path leads.
    """
    return (*_IDS, str(folder / "absolute"), f"file://{folder / 'address'}")


TEXTS = (
    "a",
    " ",
    "\n",
    "Grüße, 你好, \U0001f600",
    "e\u0301 \u00e9",
    "\u2028\u2029\u0085",
    "\u202e\ufeff\u200b",
    "\x01\x1f\x7f",
    "null",
    '{"a": "b"}',
    '"\\"',
    "<|im_end|>",
    "' OR 1=1 --",
    "],\n[",
    ",\n{\n}\n]\n",
    "\\u0000\\ud800",
    "x" * 256_000,
)
"""Texts that come back as they were, each character."""

UNICODE = "Grüße, 你好 \U0001f600 \U0001f468\u200d\U0001f469\u200d\U0001f467 e\u0301 \u202eabc"
"""Characters of several bytes, one that is several characters, and marks."""
