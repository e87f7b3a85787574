"""SmolLM2 rewritten in GGJT, the last format of LLaMA before GGUF.

That format knows no shared heads of keys and values, so they are written once for each head that reads them, which
changes nothing. It also knows a single base for the places of words, ten times smaller than the model's own: answers
are still good, but not word for word the model's.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

import gguf
import numpy as np

from tests.models.early_gguf import contents_of, sentence_piece
from tests.models.tiny import numbers, words

_NAMES = {
    "token_embd": "tok_embeddings",
    "output_norm": "norm",
    "attn_norm": "attention_norm",
    "attn_q": "attention.wq",
    "attn_k": "attention.wk",
    "attn_v": "attention.wv",
    "attn_output": "attention.wo",
    "ffn_norm": "ffn_norm",
    "ffn_gate": "feed_forward.w1",
    "ffn_down": "feed_forward.w2",
    "ffn_up": "feed_forward.w3",
}
_MULTIPLE = 256
_MIXED = 7
"""What the header says of the tensors' types; each tensor says its own."""


def write_early_llama(source: Path, target: Path) -> None:
    """Rewrite a GGUF file of the architecture `llama` with a byte-level vocabulary and tied output weights.

    Args:
        source: the file.
        target: where to.
    """
    reader = gguf.GGUFReader(source)
    count = {name: contents_of(reader, f"llama.{name}") for name in ("embedding_length", "block_count")}
    heads, shared = (contents_of(reader, f"llama.attention.head_count{suffix}") for suffix in ("", "_kv"))
    width, tokens = count["embedding_length"], contents_of(reader, "tokenizer.ggml.tokens")
    kinds, merges = (contents_of(reader, f"tokenizer.ggml.{name}") for name in ("token_type", "merges"))
    rank = {merge.replace(" ", "", 1): number for number, merge in enumerate(merges)}
    with target.open("wb") as file:
        head = (3, len(tokens), width, _MULTIPLE, heads, count["block_count"], width // heads, _MIXED)
        file.write(b"tjgg" + numbers(*head))
        texts = [_text(token, kind, number) for number, (token, kind) in enumerate(zip(tokens, kinds, strict=True))]
        file.write(words(texts, [-float(rank.get(token, 0)) for token in tokens]))
        for tensor in reader.tensors:
            *layer, part = tensor.name.removesuffix(".weight").replace("blk", "layers").split(".")
            data = np.asarray(tensor.data)
            if part in ("attn_k", "attn_v"):
                parts = data.reshape(shared, data.shape[0] // shared, -1)
                data = np.repeat(parts, heads // shared, axis=0).reshape(width, -1)
            shape = [int(tensor.shape[0]), *([len(data)] if data.ndim > 1 else [])]
            _write(file, ".".join((*layer, _NAMES[part], "weight")), shape, int(tensor.tensor_type), data)
            if part == "token_embd":
                _write(file, "output.weight", shape, int(tensor.tensor_type), data)


def _text(token: str, kind: int, number: int) -> bytes:
    if kind != gguf.TokenType.NORMAL:
        return token.encode()
    text, kind = sentence_piece(token, number)
    return bytes([int(text[3:5], 16)]) if kind == gguf.TokenType.BYTE else text.replace("▁", " ").encode()


def _write(file: BinaryIO, name: str, shape: list[int], kind: int, data: np.ndarray) -> None:
    file.write(struct.pack(f"<{3 + len(shape)}i", len(shape), len(name), kind, *shape) + name.encode())
    file.write(bytes(-file.tell() % 32) + data.tobytes())
