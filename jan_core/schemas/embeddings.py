"""The objects of `/v1/embeddings`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Discriminator, Field, Tag

from jan_core.schemas.base import Reply, Request
from jan_core.schemas.common import Many, Omittable, Text, TokenNumber, kind_of_texts

MOST_INPUTS = 2048
"""Texts of one request, and tokens of a text that is given as tokens alone."""

Input = Annotated[
    Annotated[Text, Tag("text")]
    | Annotated[Many[Text], Field(min_length=1, max_length=MOST_INPUTS), Tag("texts")]
    | Annotated[Many[TokenNumber], Field(min_length=1, max_length=MOST_INPUTS), Tag("tokens")]
    | Annotated[
        Many[Annotated[Many[TokenNumber], Field(min_length=1)]],
        Field(min_length=1, max_length=MOST_INPUTS),
        Tag("token_lists"),
    ],
    Discriminator(
        kind_of_texts,
        custom_error_type="invalid_type",
        custom_error_message="a string, or an array of strings, of token numbers, or of arrays of those",
    ),
]
"""One text or several, each as text or as tokens; none is empty."""


class EmbeddingRequest(Request):
    """Texts to be turned into vectors."""

    model: Annotated[str, Field(min_length=1, max_length=256)]
    """The model's id, as in the list of models."""
    input: Input
    """The text, or up to 2048 texts."""
    encoding_format: Omittable[Literal["float", "base64"]] = None
    """How a vector is written: as numbers, or as the base64 of 32-bit floats, little-endian; `float` if left out."""
    dimensions: Omittable[Annotated[int, Field(ge=1, le=1 << 20)]] = None
    """How many numbers a vector is to have: it is cut, and made as long as 1 again."""
    user: Omittable[str] = None
    """Stands for the person at the application that asks."""


class Embedding(Reply):
    """A text as a vector."""

    index: int
    """Which text, from 0."""
    object: Literal["embedding"] = "embedding"
    """Always `embedding`."""
    embedding: list[float] | str
    """The vector, of length 1; a string where `encoding_format` asked for base64."""


class EmbeddingUsage(Reply):
    """How many tokens a request took."""

    prompt_tokens: int
    """Tokens of all texts together."""
    total_tokens: int
    """The same."""


class EmbeddingList(Reply):
    """The vectors of a request."""

    object: Literal["list"] = "list"
    """Always `list`."""
    data: list[Embedding]
    """One for each text, in their order."""
    model: str
    """The model that made them."""
    usage: EmbeddingUsage
    """How many tokens it took."""
