"""What a chat request is answered with: a whole answer, or the chunks of a stream.

No class here has a validator of its own and none is nested deeper than it must be: a server builds and writes a
chunk for every token.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from jan_core.schemas.base import Reply, optional
from jan_core.schemas.common import CompletionUsage

FinishReason = Literal["stop", "length", "tool_calls", "content_filter", "function_call"]
"""Why an answer ended: by itself or a `stop` string, at its limit, for calls (two forms), or by a filter."""

ServiceTier = Literal["auto", "default", "flex", "scale", "priority", "fast"]
"""The kind of service that an answer was given with."""


class TopLogprob(Reply):
    """A token that could have stood in a place, and how likely it was."""

    token: str
    """The token as text."""
    logprob: float
    """The logarithm of its probability; finite, so -9999.0 stands for what is hardly possible."""
    bytes: list[int] | None
    """Its UTF-8 bytes, since a token may be part of a character; null where it has none."""


class TokenLogprob(Reply):
    """A token of the answer, and how likely it was."""

    token: str
    """The token as text."""
    logprob: float
    """The logarithm of its probability; finite, so -9999.0 stands for what is hardly possible."""
    bytes: list[int] | None
    """Its UTF-8 bytes, since a token may be part of a character; null where it has none."""
    top_logprobs: list[TopLogprob]
    """The likeliest tokens in this place, as many as were asked for."""


class Logprobs(Reply):
    """How likely the tokens of an answer were."""

    content: list[TokenLogprob] | None
    """Those of the text."""
    refusal: list[TokenLogprob] | None
    """Those of a refusal."""


class UrlCitation(Reply):
    """A web page that a part of the answer rests on."""

    start_index: int
    """The first character of that part."""
    end_index: int
    """The last character of that part."""
    url: str
    """The page's address."""
    title: str
    """The page's title."""


class Annotation(Reply):
    """A note on a part of the answer."""

    type: Literal["url_citation"] = "url_citation"
    """Always `url_citation`."""
    url_citation: UrlCitation
    """The page."""


class CalledFunction(Reply):
    """The function that the model calls."""

    name: str
    """Which function."""
    arguments: str
    """The arguments as JSON text, as the model wrote it: check it before use."""


class FunctionCall(Reply):
    """A call of a function."""

    id: str
    """The call's id, which the `tool` message with its result repeats."""
    type: Literal["function"] = "function"
    """Always `function`."""
    function: CalledFunction
    """What is called, with what."""


class CalledCustomTool(Reply):
    """The custom tool that the model calls."""

    name: str
    """Which tool."""
    input: str
    """The text the model gives it."""


class CustomCall(Reply):
    """A call of a custom tool."""

    id: str
    """The call's id, which the `tool` message with its result repeats."""
    type: Literal["custom"] = "custom"
    """Always `custom`."""
    custom: CalledCustomTool
    """What is called, with what."""


ToolCall = Annotated[FunctionCall | CustomCall, Field(discriminator="type")]
"""A call, told apart by `type`."""


class Audio(Reply):
    """A spoken answer."""

    id: str
    """Names the recording in later requests."""
    expires_at: int
    """When it can no longer be named, in Unix seconds."""
    data: str
    """The recording's bytes in base64, encoded as the request asked."""
    transcript: str
    """What is said."""


class ResponseMessage(Reply):
    """The model's answer."""

    role: Literal["assistant"] = "assistant"
    """Always `assistant`."""
    content: str | None
    """The text; null where there is none, as with calls."""
    refusal: str | None
    """What the model said where it declined."""
    tool_calls: list[ToolCall] | None = optional()
    """The calls the model asks for."""
    annotations: list[Annotation] | None = optional()
    """Notes on the text."""
    function_call: CalledFunction | None = optional()
    """The one call of the older form."""
    audio: Audio | None = optional()
    """The spoken answer."""
    reasoning_content: str | None = optional()
    """Extension known from llama.cpp: what the model thought before the text, where it marks its thoughts."""


class Choice(Reply):
    """One of the answers to a request."""

    index: int
    """Its place among them, from 0."""
    message: ResponseMessage
    """The answer."""
    finish_reason: FinishReason
    """Why it ended."""
    logprobs: Logprobs | None
    """How likely its tokens were, where the request asked."""


class ModerationResult(Reply):
    """What moderation found in one text or image."""

    type: Literal["moderation_result"] = "moderation_result"
    """Always `moderation_result`."""
    model: str
    """The model that looked."""
    flagged: bool
    """True: at least one category applies."""
    categories: dict[str, bool]
    """Which categories apply."""
    category_scores: dict[str, float]
    """How much each applies, from 0 to 1."""
    category_applied_input_types: dict[str, list[Literal["text", "image"]]]
    """What each category was looked for in."""


class ModerationResults(Reply):
    """What moderation found in one direction."""

    type: Literal["moderation_results"] = "moderation_results"
    """Always `moderation_results`."""
    model: str
    """The model that looked."""
    results: list[ModerationResult]
    """The findings."""


class ModerationError(Reply):
    """Why there are no findings."""

    type: Literal["error"] = "error"
    """Always `error`."""
    code: str
    """A word a program can branch on."""
    message: str
    """A sentence for a person."""


ModerationOutcome = Annotated[ModerationResults | ModerationError, Field(discriminator="type")]
"""Findings, or why there are none, told apart by `type`."""


class ModerationReport(Reply):
    """What moderation found in the prompt and in the answer."""

    input: ModerationOutcome
    """In the prompt."""
    output: ModerationOutcome
    """In the answer."""


class ChatCompletion(Reply):
    """A whole answer."""

    id: str
    """The answer's id."""
    object: Literal["chat.completion"] = "chat.completion"
    """Always `chat.completion`."""
    created: int
    """When it was begun, in Unix seconds."""
    model: str
    """The model that answered."""
    choices: list[Choice]
    """The answers, as many as `n` asked for."""
    usage: CompletionUsage | None = optional()
    """How many tokens it took."""
    system_fingerprint: str | None = optional()
    """Changes with the engine's version: a `seed` promises nothing across it."""
    service_tier: ServiceTier | None = optional()
    """The kind of service it was given with."""
    metadata: dict[str, str] | None = optional()
    """The pairs kept with a stored answer."""
    moderation: ModerationReport | None = optional()
    """What moderation found, where the request asked."""


class FunctionDelta(Reply):
    """What is new of a function call."""

    name: str | None = optional()
    """Which function; in the first piece."""
    arguments: str | None = optional()
    """More of the arguments' JSON text."""


class ToolCallDelta(Reply):
    """What is new of one of the calls."""

    index: int
    """Which call, from 0."""
    id: str | None = optional()
    """The call's id; in the first piece."""
    type: Literal["function"] | None = optional()
    """Always `function`; in the first piece."""
    function: FunctionDelta | None = optional()
    """What is new of it."""


class Delta(Reply):
    """What is new of an answer."""

    role: Literal["developer", "system", "user", "assistant", "tool"] | None = optional()
    """Whose message it is; in the first chunk."""
    content: str | None = optional()
    """More of the text."""
    refusal: str | None = optional()
    """More of a refusal."""
    tool_calls: list[ToolCallDelta] | None = optional()
    """More of the calls."""
    function_call: FunctionDelta | None = optional()
    """More of the one call of the older form."""
    reasoning_content: str | None = optional()
    """Extension known from llama.cpp: more of what the model thinks before the text."""


class ChunkChoice(Reply):
    """What is new of one of the answers."""

    index: int
    """Which answer, from 0."""
    delta: Delta
    """What is new; empty in the last chunk."""
    logprobs: Logprobs | None = optional()
    """How likely the new tokens were, where the request asked."""
    finish_reason: FinishReason | None
    """Why the answer ended; null until it has."""


class ChatCompletionChunk(Reply):
    """One event of a stream."""

    id: str
    """The answer's id, the same in all chunks."""
    object: Literal["chat.completion.chunk"] = "chat.completion.chunk"
    """Always `chat.completion.chunk`."""
    created: int
    """When the answer was begun, in Unix seconds, the same in all chunks."""
    model: str
    """The model that answers."""
    choices: list[ChunkChoice]
    """What is new; empty in the chunk that carries `usage`."""
    usage: CompletionUsage | None = optional()
    """How many tokens it took; in the last chunk, where `stream_options.include_usage` asked."""
    system_fingerprint: str | None = optional()
    """Changes with the engine's version: a `seed` promises nothing across it."""
    service_tier: ServiceTier | None = optional()
    """The kind of service it is given with."""
    obfuscation: str | None = optional()
    """Random text without meaning, where `stream_options.include_obfuscation` asked."""
    moderation: ModerationReport | None = optional()
    """What moderation found, where the request asked."""
