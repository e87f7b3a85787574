"""Names that try to leave the root, or to be something else than they seem."""

from __future__ import annotations

import random
from collections.abc import Iterator

DEVICES = ["CON", "con", "NUL", "nul.json", "AUX", "PRN", "COM1", "LPT9", "com0.txt", "CONIN$", "CLOCK$"]
PARTS = [
    "..",
    ".",
    "...",
    "",
    " ",
    "/",
    "\\",
    "//",
    "/etc/passwd",
    "C:",
    "C:\\Windows",
    "\\\\server\\share",
    "~",
    "~root",
    "$HOME",
    "%HOME%",
    "`id`",
    "$(id)",
    "*",
    "?",
    "|",
    "\0",
    "\n",
    "\r\nX: y",
    "\t",
    "\x1b[31m",
    "\x7f",
    "\u202e",
    "\u200b",
    "\ufeff",
    "\u2044",
    "\uff0e\uff0e",
    "\uff0f",
    "é",
    "e\u0301",
    "\u0130",
    "漢",
    "😀",
    "%2e%2e",
    "%2f",
    "%5c",
    "%00",
    "%252e",
    "%c0%ae",
    "..;",
    ".locks",
    ".deleted",
    ".idempotency",
    ".tmp-0",
    "thread.json",
    "messages.json",
    "model.json",
    "assistant.json",
    "threads",
    "assistants",
    "secret",
    "jan",
    "jan.",
    ".jan",
    "JAN",
    "file:///etc/passwd",
    "<script>",
    '"',
    "'",
    "{}",
    "[0]",
    "-",
    "--help",
    "_",
    "0",
    "None",
    "null",
    "undefined",
    "__proto__",
    *DEVICES,
]

UPWARDS = ["../", "..\\", "%2e%2e/", "..%2f", "....//", "./../"]


def names(count: int, secret: str, seed: int = 1) -> Iterator[str]:
    """So many hostile names.

    Args:
        count: how many.
        secret: a path from a folder of the root to what none of them may reach.
        seed: of the choice.
    """
    chance = random.Random(seed)
    first = [
        *PARTS,
        *[up * depth + secret for depth in range(1, 8) for up in UPWARDS],
        "x" * 129,
        "x" * 5000,
        "a/" * 300,
        "é" * 128,
        "\ud800",
        "a\udfffb",
    ]
    yield from first[:count]
    for _ in range(count - len(first)):
        pieces = chance.choices(PARTS, k=chance.randint(1, 4))
        yield chance.choice(["", "/", "\\", ".", "-"]).join(pieces)
