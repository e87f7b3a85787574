"""The objects of `/v1/completions`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Discriminator, Field, Tag, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from jan_core.schemas.base import Reply, Request, optional
from jan_core.schemas.common import (
    CompletionUsage,
    Many,
    Omittable,
    Penalty,
    Seed,
    StreamOptions,
    Text,
    TokenId,
    TokenNumber,
    kind_of_texts,
)

MOST_PROMPTS = 2048
"""Prompts of one request."""


Tokens = Annotated[Many[TokenNumber], Field(min_length=1)]
"""A text as the numbers of its tokens."""

Prompt = Annotated[
    Annotated[str, Tag("text")]
    | Annotated[Many[str], Field(min_length=1, max_length=MOST_PROMPTS), Tag("texts")]
    | Annotated[Tokens, Tag("tokens")]
    | Annotated[Many[Tokens], Field(min_length=1, max_length=MOST_PROMPTS), Tag("token_lists")],
    Discriminator(
        kind_of_texts,
        custom_error_type="invalid_type",
        custom_error_message="a string, or an array of strings, of token numbers, or of arrays of those",
    ),
]
"""One prompt or several, each as text or as tokens."""


class CompletionRequest(Request):
    """Text that the model is to go on with, and how.

    A field that is None was not given, or was null: the model's or the engine's value holds. Each number is bounded,
    so that it can be handed to an engine written in C.
    """

    model: Annotated[str, Field(min_length=1, max_length=256)]
    """The model's id, as in the list of models."""
    prompt: Prompt | None
    """The text, or several texts that are each answered; null and an empty text are the beginning of any text."""
    suffix: str | None = None
    """The text after the gap that the model is to fill; only models that were trained for that can."""

    max_tokens: Annotated[int, Field(ge=0, le=2**31 - 1)] | None = None
    """The most tokens an answer may have; 16 where neither the request nor the model says."""
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    """0 always takes the likeliest token; more makes the answer more varied."""
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    """Only the likeliest tokens that together reach this probability are considered."""
    n: Annotated[int, Field(ge=1, le=128)] | None = None
    """How many answers to give to each prompt; 1 where it is left out."""
    best_of: Annotated[int, Field(ge=0, le=20)] | None = None
    """How many answers to write for each prompt, of which the `n` likeliest are given; at least `n`; 0 means `n`."""
    stop: Text | Annotated[Many[Text], Field(min_length=1, max_length=4)] | None = None
    """The answer ends before the first of these strings."""
    echo: bool | None = None
    """True: the answer begins with the prompt."""
    logprobs: Annotated[int, Field(ge=0, le=5)] | None = None
    """Tells how likely each token of the answer was, and that many of the likeliest in its place."""
    frequency_penalty: Penalty | None = None
    """Makes tokens less likely the more often they occurred."""
    presence_penalty: Penalty | None = None
    """Makes tokens less likely once they occurred."""
    logit_bias: dict[TokenId, Annotated[float, Field(ge=-100, le=100)]] | None = None
    """Added to the logits of single tokens; ±100 forbids or forces one."""
    seed: Seed | None = None
    """The same seed with the same request gives the same answer, as far as the engine can promise that."""
    user: Omittable[str] = None
    """Stands for the person at the application that asks."""

    stream: bool | None = None
    """True: the answer comes as events while it is generated."""
    stream_options: StreamOptions | None = None
    """What the stream carries besides; only with `stream`."""

    top_k: Annotated[int, Field(ge=0, le=100_000)] | None = None
    """Extension known from llama.cpp: only this many of the likeliest tokens are considered; 0 means all."""
    min_p: Annotated[float, Field(ge=0, le=1)] | None = None
    """Extension known from llama.cpp: tokens less likely than this part of the likeliest one are left out."""
    typical_p: Annotated[float, Field(ge=0, le=1)] | None = None
    """Extension known from llama.cpp: keeps tokens whose surprise is near the expected one; 1 keeps all."""
    repeat_penalty: Annotated[float, Field(ge=0, le=10)] | None = None
    """Extension known from llama.cpp: divides the logits of tokens that occurred; 1 changes nothing."""

    # Each check stands at one field and reads fields declared before it; one that was refused is not in `data`.
    @field_validator("best_of")
    @classmethod
    def _enough(cls, value: int | None, info: ValidationInfo) -> int | None:
        if value and value < (info.data.get("n") or 1):
            raise PydanticCustomError("conflict", "at least as many as `n`")
        return value

    @field_validator("stream")
    @classmethod
    def _cannot_choose(cls, value: bool | None, info: ValidationInfo) -> bool | None:
        if value and (info.data.get("best_of") or 0) > (info.data.get("n") or 1):
            raise PydanticCustomError("conflict", "false, since the best of several answers is known at their end only")
        return value

    @field_validator("stream_options")
    @classmethod
    def _needs_stream(cls, value: StreamOptions | None, info: ValidationInfo) -> StreamOptions | None:
        if value is not None and not info.data.get("stream", True):
            raise PydanticCustomError("conflict", "this field only together with `stream: true`")
        return value


CompletionFinishReason = Literal["stop", "length", "content_filter"]
"""Why an answer ended: by itself or a `stop` string, at its limit, or by a filter."""


class CompletionLogprobs(Reply):
    """How likely the tokens of an answer were: lists of the same length, an element a token."""

    tokens: list[str]
    """The tokens as text."""
    token_logprobs: list[float]
    """The logarithms of their probabilities; finite, so -9999.0 stands for what is hardly possible."""
    top_logprobs: list[dict[str, float]]
    """The likeliest tokens in each place, as many as were asked for, and the one that stands there."""
    text_offset: list[int]
    """Where each token begins in the answer's text, in characters."""


class CompletionChoice(Reply):
    """One of the answers to a request."""

    index: int
    """Its place among them, from 0: all those of the first prompt, then those of the next."""
    text: str
    """The answer; after the prompt where `echo` asked."""
    logprobs: CompletionLogprobs | None
    """How likely its tokens were, where the request asked."""
    finish_reason: CompletionFinishReason
    """Why it ended."""


class Completion(Reply):
    """A whole answer."""

    id: str
    """The answer's id."""
    object: Literal["text_completion"] = "text_completion"
    """Always `text_completion`."""
    created: int
    """When it was begun, in Unix seconds."""
    model: str
    """The model that answered."""
    choices: list[CompletionChoice]
    """The answers: as many as `n` asked for, for each prompt."""
    usage: CompletionUsage | None = optional()
    """How many tokens it took."""
    system_fingerprint: str | None = optional()
    """Changes with the engine's version: a `seed` promises nothing across it."""


class CompletionChunkChoice(Reply):
    """What is new of one of the answers."""

    index: int
    """Which answer, from 0."""
    text: str
    """More of the text; empty in the last chunk."""
    logprobs: CompletionLogprobs | None
    """How likely the new tokens were, where the request asked."""
    finish_reason: CompletionFinishReason | None
    """Why the answer ended; null until it has."""


class CompletionChunk(Reply):
    """One event of a stream."""

    id: str
    """The answer's id, the same in all chunks."""
    object: Literal["text_completion"] = "text_completion"
    """Always `text_completion`."""
    created: int
    """When the answer was begun, in Unix seconds, the same in all chunks."""
    model: str
    """The model that answers."""
    choices: list[CompletionChunkChoice]
    """What is new; empty in the chunk that carries `usage`."""
    usage: CompletionUsage | None = optional()
    """How many tokens it took; in the last chunk, where `stream_options.include_usage` asked."""
    system_fingerprint: str | None = optional()
    """Changes with the engine's version: a `seed` promises nothing across it."""


class TokenizeRequest(Request):
    """A text, for the operation `tokenize`."""

    model: Annotated[str, Field(min_length=1, max_length=256)]
    """The model whose tokens are meant."""
    text: str
    """The text."""
    special: bool = False
    """True: as a prompt is read, with the token that begins texts, and marks such as `<|im_end|>` as one token each."""


class DetokenizeRequest(Request):
    """Tokens, for the operation `detokenize`."""

    model: Annotated[str, Field(min_length=1, max_length=256)]
    """The model whose tokens they are."""
    tokens: Many[TokenNumber]
    """Their numbers."""


class Token(Reply):
    """One token of a text."""

    id: int
    """Its number in the model's vocabulary."""
    text: str
    """What it stands for; `�` where that is no whole character."""
    bytes: list[int]
    """The same, byte by byte."""


__all__ = [
    "MOST_PROMPTS",
    "Completion",
    "CompletionChoice",
    "CompletionChunk",
    "CompletionChunkChoice",
    "CompletionFinishReason",
    "CompletionLogprobs",
    "CompletionRequest",
    "CompletionUsage",
    "DetokenizeRequest",
    "Prompt",
    "StreamOptions",
    "Token",
    "TokenizeRequest",
    "Tokens",
]
