"""A tiny GPT-2 in GGML, the format before GGUF, that says what is written here.

Each token has a random direction, and the output weights of a token are the sum of the directions of those it follows.
Attention and feed-forward are zero, so the last token alone decides what comes next.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

WIDTH = 64
HEADS = 4
CONTEXT = 256
END = b"<|endoftext|>"
TALE = "One café for 5€ STOPPED."
"""What follows on `go`, or on a colon: characters and words in it are cut into several tokens."""
_TALE = [
    b" One",
    b" caf",
    b"\xc3",
    b"\xa9",
    b" for",
    b" 5",
    b"\xe2",
    b"\x82",
    b"\xac",
    b" STO",
    b"P",
    b"PED",
    b".",
    END,
]
DICE = [b" one", b" two", b" three", b" four"]
"""On `dice` follow these, each as likely as the others, without end."""
_WORDS = [b"go", b"tick", b" tick", b" tock", b"dice", b"User", b"Assistant", b" go", b" dice", *DICE, *_TALE]
VOCABULARY = [bytes([byte]) for byte in range(256)] + [word for word in _WORDS if len(word) > 1]
"""`tick` and ` tock` follow each other without end."""


def follows() -> dict[bytes, list[bytes]]:
    """The tokens that come after each token."""
    found = {before: [after] for before, after in pairwise(_TALE)}
    found |= {first: [_TALE[0]] for first in (b"go", b":", b" go")}
    found |= {b"tick": [b" tock"], b" tick": [b" tock"], b" tock": [b" tick"]}
    return found | dict.fromkeys((b"dice", b" dice", *DICE), DICE)


STARCODER = [
    b"<fim-prefix>",
    b"<fim-middle>",
    b"<fim-suffix>",
    b"<|system|>",
    b"<|user|>",
    b"<|assistant|>",
    b"<|end|>",
]
"""Special words of StarCoder and StarChat, whose files are written like GPT-2's."""


def tiny_gpt2(half: bool = False, heads: int = HEADS, more: Sequence[bytes] = ()) -> bytes:
    """The file's content.

    Args:
        half: write the big tensors with 16 bits a number.
        heads: of attention; with a single one, the library crashes at the first prompt of several tokens.
        more: words that come after the common ones.
    """
    vocabulary = [*VOCABULARY, *more]
    number = {word: token for token, word in enumerate(vocabulary)}
    directions = np.random.default_rng(1).choice(np.float32([-1, 1]), (len(vocabulary), WIDTH))
    output = np.zeros_like(directions)
    for before, after in follows().items():
        for word in after:
            output[number[word]] += directions[number[before]]
    big = np.float16 if half else np.float32
    tensors = {
        "model/ln_f/g": np.full(WIDTH, 0.25, np.float32),
        "model/ln_f/b": np.zeros(WIDTH, np.float32),
        "model/wte": directions.astype(big),
        "model/wpe": np.zeros((CONTEXT, WIDTH), np.float32),
        "model/lm_head": output.astype(big),
    }
    for name, shape in {
        "ln_1": (WIDTH,),
        "ln_2": (WIDTH,),
        "attn/c_attn": (3 * WIDTH, WIDTH),
        "attn/c_proj": (WIDTH, WIDTH),
        "mlp/c_fc": (4 * WIDTH, WIDTH),
        "mlp/c_proj": (WIDTH, 4 * WIDTH),
    }.items():
        weight, kind = ("g", np.float32) if name.startswith("ln") else ("w", big)
        tensors[f"model/h0/{name}/{weight}"] = np.zeros(shape, kind)
        tensors[f"model/h0/{name}/b"] = np.zeros(shape[0], np.float32)
    head = struct.pack("<I7i", 0x67676D6C, len(vocabulary), CONTEXT, WIDTH, heads, 1, int(half), len(vocabulary))
    words = b"".join(struct.pack("<I", len(word)) + word for word in vocabulary)
    return head + words + b"".join(_tensor(name, data) for name, data in tensors.items())


def _tensor(name: str, data: np.ndarray) -> bytes:
    kind = int(data.dtype == np.float16)
    head = struct.pack(f"<3i{data.ndim}i", data.ndim, len(name), kind, *reversed(data.shape))
    return head + name.encode() + data.tobytes()


def write_tiny_gpt2(target: Path) -> None:
    """Write the file."""
    target.write_bytes(tiny_gpt2())
