"""SmolLM2 rewritten as an early GGUF file, as ctransformers reads it.

The library knows vocabularies of SentencePiece only, and no tied output weights. So the tokens become SentencePiece
texts, whose scores bring about the same merges in the same order, and the output weights are written out.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gguf

_OWN = {"general.architecture", *(f"tokenizer.ggml.{name}" for name in ("tokens", "token_type", "merges", "model"))}
_NEWER = {"tokenizer.ggml.pre"}


def write_early_gguf(source: Path, target: Path) -> None:
    """Rewrite a GGUF file with a byte-level vocabulary.

    Args:
        source: the file.
        target: where to; it appears whole or not at all.
    """
    reader = gguf.GGUFReader(source)

    def field(name: str) -> list[str]:
        contents = contents_of(reader, f"tokenizer.ggml.{name}")
        assert isinstance(contents, list)
        return contents

    writer = gguf.GGUFWriter(target, contents_of(reader, "general.architecture"))
    for name, known in reader.fields.items():
        if not name.startswith("GGUF.") and name not in _OWN | _NEWER:
            element = known.types[1] if len(known.types) > 1 else None
            writer.add_key_value(name, known.contents(), known.types[0], element)
    rank = {merge.replace(" ", "", 1): number for number, merge in enumerate(field("merges"))}
    tokens, scores, kinds = [], [], []
    for number, (token, kind) in enumerate(zip(field("tokens"), field("token_type"), strict=True)):
        text, kind = (token, kind) if kind != gguf.TokenType.NORMAL else sentence_piece(token, number)
        tokens.append(text)
        scores.append(-float(rank.get(token, 0)))
        kinds.append(kind)
    writer.add_tokenizer_model("llama")
    writer.add_token_list(tokens)
    writer.add_token_scores(scores)
    writer.add_token_types(kinds)
    for tensor in reader.tensors:
        writer.add_tensor(tensor.name, tensor.data, raw_dtype=tensor.tensor_type)
        if tensor.name == "token_embd.weight":
            writer.add_tensor("output.weight", tensor.data, raw_dtype=tensor.tensor_type)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def contents_of(reader: gguf.GGUFReader, name: str) -> Any:
    """What a header says under a name that it must have."""
    found = reader.get_field(name)
    assert found is not None, name
    return found.contents()


def sentence_piece(token: str, number: int) -> tuple[str, int]:
    """A byte-level token as SentencePiece writes it; one of parts of characters becomes a text that never comes up."""
    data = bytes(_BYTES[character] for character in token)
    if len(data) == 1 and not 32 <= data[0] < 127:
        return f"<0x{data[0]:02X}>", gguf.TokenType.BYTE
    try:
        return data.decode().replace(" ", "▁"), gguf.TokenType.NORMAL
    except UnicodeDecodeError:
        return f"[part {number}]", gguf.TokenType.NORMAL


def byte_characters() -> dict[str, int]:
    """The characters that byte-level vocabularies write bytes as: printable ones are themselves, others come after."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + n): byte for n, byte in enumerate(others)}


_BYTES = byte_characters()
