"""The body of `POST /v1/chat/completions`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from jan_core.schemas.base import Request
from jan_core.schemas.chat.messages import RequestMessage, TextParts
from jan_core.schemas.chat.tools import OlderFunction, OlderFunctionChoice, ResponseFormat, Tool, ToolChoice
from jan_core.schemas.common import (
    MOST,
    Many,
    Metadata,
    Omittable,
    Penalty,
    Seed,
    StreamOptions,
    Text,
    TokenCount,
    TokenId,
)


class Voice(Request):
    """A voice that was made by the user."""

    id: str
    """The voice's id."""


class AudioOutput(Request):
    """How a spoken answer sounds."""

    voice: str | Voice
    """The voice, by name or by id."""
    format: Literal["wav", "aac", "mp3", "flac", "opus", "pcm16"]
    """How the sound is encoded."""


class WebSearchLocation(Request):
    """Roughly where the user is."""

    country: Omittable[str] = None
    """Two letters of ISO 3166-1."""
    region: Omittable[str] = None
    """A part of the country."""
    city: Omittable[str] = None
    """A town."""
    timezone: Omittable[str] = None
    """An IANA time zone."""


class UserLocation(Request):
    """The place that a web search assumes."""

    type: Literal["approximate"]
    """Always `approximate`."""
    approximate: WebSearchLocation
    """The place."""


class WebSearchOptions(Request):
    """Lets the model look things up on the web."""

    user_location: UserLocation | None = None
    """The place that the search assumes."""
    search_context_size: Omittable[Literal["low", "medium", "high"]] = None
    """How much of the context the findings may take."""


class ModerationRule(Request):
    """What is done with what the moderation finds."""

    mode: Literal["score", "block"]
    """`score` only reports, `block` refuses."""


class ModerationPolicy(Request):
    """Rules for both directions."""

    input: ModerationRule | None = None
    """The rule for the prompt."""
    output: ModerationRule | None = None
    """The rule for the answer."""


class Moderation(Request):
    """Asks for the prompt and the answer to be moderated."""

    model: str
    """The model that moderates."""
    policy: ModerationPolicy | None = None
    """What is done with its findings; they are only reported where there is none."""


class Prediction(Request):
    """Text that the answer will mostly repeat, which lets some engines answer faster."""

    type: Literal["content"]
    """Always `content`."""
    content: str | TextParts
    """The text."""


class PromptCacheOptions(Request):
    """How the prompt is cached."""

    ttl: Omittable[Literal["30m"]] = None
    """How long the cache lives."""
    mode: Omittable[Literal["implicit", "explicit"]] = None
    """`explicit`: only up to the parts that carry a `prompt_cache_breakpoint`."""


class ChatCompletionRequest(Request):
    """A conversation that the model is to continue, and how.

    A field that is None was not given, or was null: the thread's, the assistant's, the model's or the engine's value
    holds. Each number is bounded, so that it can be handed to an engine written in C.
    """

    model: Annotated[str, Field(min_length=1, max_length=256)]
    """The model's id, as in the list of models."""
    messages: Annotated[Many[RequestMessage], Field(min_length=1, max_length=MOST)]
    """The conversation so far, oldest first."""

    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    """0 always takes the likeliest token; more makes the answer more varied."""
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    """Only the likeliest tokens that together reach this probability are considered."""
    n: Annotated[int, Field(ge=1, le=128)] | None = None
    """How many answers to give; 1 where it is left out."""
    stop: Text | Annotated[Many[Text], Field(min_length=1, max_length=4)] | None = None
    """The answer ends before the first of these strings."""
    max_completion_tokens: TokenCount | None = None
    """The most tokens an answer may have, including those it is thought out with."""
    max_tokens: TokenCount | None = None
    """The older name of `max_completion_tokens`; only one of both may be given."""
    frequency_penalty: Penalty | None = None
    """Makes tokens less likely the more often they occurred."""
    presence_penalty: Penalty | None = None
    """Makes tokens less likely once they occurred."""
    logit_bias: dict[TokenId, Annotated[float, Field(ge=-100, le=100)]] | None = None
    """Added to the logits of single tokens; ±100 forbids or forces one."""
    seed: Seed | None = None
    """The same seed with the same request gives the same answer, as far as the engine can promise that."""
    logprobs: bool | None = None
    """True: the answer tells how likely each of its tokens was."""
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    """How many alternatives `logprobs` tells for each token."""

    stream: bool | None = None
    """True: the answer comes as events while it is generated."""
    stream_options: StreamOptions | None = None
    """What the stream carries besides; only with `stream`."""

    tools: Omittable[Many[Tool]] = None
    """What the model may call."""
    tool_choice: Omittable[ToolChoice] = None
    """Whether and what it must call."""
    parallel_tool_calls: Omittable[bool] = None
    """False: at most one call in an answer."""
    functions: Omittable[Annotated[Many[OlderFunction], Field(min_length=1, max_length=128)]] = None
    """The older form of `tools`."""
    function_call: Omittable[OlderFunctionChoice] = None
    """The older form of `tool_choice`."""
    response_format: Omittable[ResponseFormat] = None
    """The form of the answer: text, JSON, or JSON that follows a schema."""

    modalities: Many[Literal["text", "audio"]] | None = None
    """Whether the answer is written, spoken or both."""
    audio: AudioOutput | None = None
    """How a spoken answer sounds."""
    prediction: Prediction | None = None
    """Text that the answer will mostly repeat."""
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"] | None = None
    """How long the model thinks before it answers."""
    verbosity: Literal["low", "medium", "high"] | None = None
    """How long the answer is."""
    web_search_options: Omittable[WebSearchOptions] = None
    """Lets the model look things up on the web."""
    moderation: Moderation | None = None
    """Asks for the prompt and the answer to be moderated."""
    service_tier: Literal["auto", "default", "flex", "scale", "priority", "fast"] | None = None
    """The kind of service that is paid for; without meaning on an own machine."""

    store: bool | None = None
    """True: the answer can be retrieved later by its id."""
    metadata: Metadata | None = None
    """Pairs that are kept with a stored answer."""
    user: Omittable[str] = None
    """The older name of `safety_identifier`."""
    safety_identifier: Annotated[str, Field(max_length=64)] | None = None
    """Stands for the person at the application that asks."""
    prompt_cache_key: str | None = None
    """Requests with the same key are likely to share the beginning of their prompt."""
    prompt_cache_retention: Literal["in_memory", "24h"] | None = None
    """How long the prompt stays cached; replaced by `prompt_cache_options`."""
    prompt_cache_options: Omittable[PromptCacheOptions] = None
    """How the prompt is cached."""

    top_k: Annotated[int, Field(ge=0, le=100_000)] | None = None
    """Extension known from llama.cpp: only this many of the likeliest tokens are considered; 0 means all."""
    min_p: Annotated[float, Field(ge=0, le=1)] | None = None
    """Extension known from llama.cpp: tokens less likely than this part of the likeliest one are left out."""
    typical_p: Annotated[float, Field(ge=0, le=1)] | None = None
    """Extension known from llama.cpp: keeps tokens whose surprise is near the expected one; 1 keeps all."""
    repeat_penalty: Annotated[float, Field(ge=0, le=10)] | None = None
    """Extension known from llama.cpp: divides the logits of tokens that occurred; 1 changes nothing."""

    # Each check stands at one field and reads fields declared before it; one that was refused is not in `data`.
    @field_validator("max_tokens")
    @classmethod
    def _one_limit(cls, value: int | None, info: ValidationInfo) -> int | None:
        if value is not None and info.data.get("max_completion_tokens") is not None:
            raise PydanticCustomError("conflict", "only one of `max_tokens` and `max_completion_tokens`")
        return value

    @field_validator("stream_options")
    @classmethod
    def _needs_stream(cls, value: StreamOptions | None, info: ValidationInfo) -> StreamOptions | None:
        if value is not None and not info.data.get("stream", True):
            raise PydanticCustomError("conflict", "this field only together with `stream: true`")
        return value
