"""Which files and model types the library opens."""

from __future__ import annotations

import re

GGUF = "gguf"
"""What the library calls every GGUF file, whatever model is in it."""

TYPES: tuple[str, ...] = (
    "dolly-v2",
    "falcon",
    "gpt2",
    "gpt_neox",
    "gptj",
    "llama",
    "mpt",
    "replit",
    "starcoder",
)
"""Model types of GGML files, as `settings.model_type` of `model.json` names them."""

_SPELLINGS = {re.sub(r"[^a-z0-9]", "", name): name for name in TYPES} | {
    "dolly": "dolly-v2",
    "gptbigcode": "starcoder",
    "neox": "gpt_neox",
    "stablelm": "gpt_neox",
    "refinedweb": "falcon",
    "refinedwebmodel": "falcon",
}


_ALIKE = ({"gpt2", "starcoder"}, {"gpt_neox", "dolly-v2"})
"""Types whose files are written alike: what differs is which words are special tokens."""


REWINDS: frozenset[str] = frozenset({GGUF, *TYPES}) - {"falcon"}
"""Types whose KV cache can be gone back in. Falcon's is laid out anew at each step, by how much has been read: what it
answers after going back is wrong."""


def can_be(told: str, found: str) -> bool:
    """Whether a file that looks like the type `found` can be of the type `told`; the library would not notice."""
    return told == found or any({told, found} <= alike for alike in _ALIKE)


def model_type(name: str) -> str | None:
    """The type that a name stands for, however it is spelled (`GPT-NeoX`); None where there is no such type."""
    return _SPELLINGS.get(re.sub(r"[^a-z0-9]", "", name.lower()))


def is_gguf(path: str) -> bool:
    """Whether a file is a GGUF file, by its first four bytes. Blocks for a moment.

    Raises:
        OSError: it cannot be read.
    """
    with open(path, "rb") as file:
        return file.read(4) == b"GGUF"
