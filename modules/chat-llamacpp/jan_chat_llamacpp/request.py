"""From OpenAI's request to llama.cpp's, and what of it is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from jan_core.errors import ContextLengthExceeded, InvalidRequest, NotSupported

if TYPE_CHECKING:
    from jan_core.schemas.chat import ChatCompletionRequest
    from jan_core.schemas.models import ModelLocation

REFUSED: dict[str, str] = {
    "tools": "tools",
    "functions": "functions",
    "function_call": "functions",
    "audio": "spoken answers",
    "prediction": "predicted output",
    "web_search_options": "web search",
    "moderation": "moderation",
}
"""Fields that mean something this module does not do, and what that is."""

LONGEST_TOKEN = 1024
"""Characters; no known vocabulary has a longer token."""

LEAST_PENALTY = 0.01
"""Less is 0 for a C float at some point, and llama.cpp refuses that without naming the field."""

SEEDS = 2**32 - 1
"""llama.cpp's seeds are 32 bits; the highest means "random"."""


class Parameters(BaseModel):
    """`parameters` of `model.json`: what a request takes where it gives no value. Other keys are left to others."""

    model_config = ConfigDict(strict=True, extra="ignore", allow_inf_nan=False)

    temperature: float | None = Field(default=None, ge=0, le=2)
    top_p: float | None = Field(default=None, ge=0, le=1)
    top_k: int | None = Field(default=None, ge=0, le=100_000)
    min_p: float | None = Field(default=None, ge=0, le=1)
    typical_p: float | None = Field(default=None, ge=0, le=1)
    repeat_penalty: float | None = Field(default=None, ge=LEAST_PENALTY, le=10)
    frequency_penalty: float | None = Field(default=None, ge=-2, le=2)
    presence_penalty: float | None = Field(default=None, ge=-2, le=2)
    max_tokens: int | None = Field(default=None, ge=1, le=2**31 - 1)
    stop: str | list[str] | None = None


def defaults(location: ModelLocation) -> Parameters:
    """The model's own parameters.

    Raises:
        InvalidRequest: `model.json` has one of a wrong type or out of range.
    """
    try:
        return Parameters.model_validate(location.parameters)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = ".".join(str(part) for part in first["loc"])
        raise InvalidRequest(
            f"model.json of {location.id!r}: parameters.{name}: {first['msg']}; mend it in the model's folder.",
            param="model",
            code="bad_model_parameters",
        ) from error


def refuse(body: ChatCompletionRequest) -> None:
    """Refuse what this module does not do.

    Raises:
        NotSupported: naming the field.
        InvalidRequest: a value that the API allows and llama.cpp does not.
    """
    for name, what in REFUSED.items():
        if getattr(body, name):
            raise NotSupported(f"{name}: chat-llamacpp does not do {what}; leave {name!r} out.", param=name)
    if body.tool_choice not in (None, "none", "auto"):
        raise NotSupported("tool_choice: chat-llamacpp does not call tools; leave it out.", param="tool_choice")
    if body.response_format is not None and body.response_format.type != "text":
        kind = body.response_format.type
        raise NotSupported(
            f"response_format: chat-llamacpp answers in plain text only, not {kind!r}; leave it out.",
            param="response_format",
        )
    if body.repeat_penalty is not None and body.repeat_penalty < LEAST_PENALTY:
        raise InvalidRequest(
            f"repeat_penalty: llama.cpp divides by it, so it must be at least {LEAST_PENALTY}; 1 changes nothing.",
            param="repeat_penalty",
            code="invalid_value",
        )
    if body.logprobs or body.top_logprobs:
        name = "logprobs" if body.logprobs else "top_logprobs"
        raise NotSupported(f"{name}: chat-llamacpp does not tell probabilities; leave it out.", param=name)
    if body.modalities is not None and body.modalities != ["text"]:
        raise NotSupported('modalities: chat-llamacpp answers in text; give ["text"] or nothing.', param="modalities")
    if body.store:
        raise NotSupported("store: chat-llamacpp keeps no completions; leave it out.", param="store")
    if body.reasoning_effort not in (None, "none"):
        raise NotSupported("reasoning_effort: chat-llamacpp cannot set it; leave it out.", param="reasoning_effort")
    if body.verbosity not in (None, "medium"):
        raise NotSupported("verbosity: chat-llamacpp cannot set it; leave it out.", param="verbosity")


def check_length(body: ChatCompletionRequest, context: int) -> None:
    """Refuse what cannot fit the context whatever its tokens are, without handing megabytes to the engine.

    Raises:
        ContextLengthExceeded: there are more than `LONGEST_TOKEN` characters for each token of the context.
    """
    length = sum(len(message["content"]) for message in messages(body))
    if length > context * LONGEST_TOKEN:
        raise ContextLengthExceeded(
            f"The messages have {length} characters; this model is loaded for {context} tokens of prompt and answer "
            "together. Shorten them, or set ctx_len in the model's model.json if the model can do more.",
            param="messages",
        )


def messages(body: ChatCompletionRequest) -> list[dict[str, str]]:
    """The conversation as a chat template takes it: text only, `developer` as `system`.

    Raises:
        NotSupported: a part that is no text, or a role that needs tools; names the place.
    """
    found = []
    for index, message in enumerate(body.messages):
        at = f"messages[{index}]"
        if message.role in ("tool", "function"):
            raise NotSupported(
                f"{at}.role: chat-llamacpp does not do tools, so it takes no {message.role!r}.", param=f"{at}.role"
            )
        for name in ("tool_calls", "function_call", "audio"):
            if getattr(message, name, None):
                raise NotSupported(f"{at}.{name}: chat-llamacpp does not do tools or audio.", param=f"{at}.{name}")
        role = "system" if message.role == "developer" else message.role
        content = message.content if message.content is not None else getattr(message, "refusal", None)
        found.append({"role": role, "content": _text(content or "", at)})
    return found


def _text(content: Any, at: str) -> str:
    if isinstance(content, str):
        return content
    texts = []
    for index, part in enumerate(content):
        if part.type == "refusal":
            texts.append(part.refusal)
        elif part.type == "text":
            texts.append(part.text)
        else:
            where = f"{at}.content[{index}]"
            what = {"image_url": "images", "input_audio": "sound", "file": "files"}.get(part.type, part.type)
            raise NotSupported(f"{where}: chat-llamacpp reads text only, no {what}.", param=f"{where}.type")
    return "\n".join(texts)


def engine_request(body: ChatCompletionRequest, own: Parameters, choices: int, first_choice: int) -> dict[str, Any]:
    """The request for the engine.

    Args:
        body: the caller's request, which `refuse` has let through.
        own: the model's parameters; the caller's values go before them.
        choices: answers wanted in this round.
        first_choice: how many answers earlier rounds gave; moves the seed on.
    """
    request: dict[str, Any] = {
        "messages": messages(body),
        "stream": True,
        "stream_options": {"include_usage": True},
        "return_progress": True,
        "cache_prompt": True,
        "n": choices,
    }
    for name in Parameters.model_fields:
        if name == "max_tokens":
            value = body.max_completion_tokens or body.max_tokens or own.max_tokens
        else:
            value = getattr(body, name)
            value = getattr(own, name) if value is None else value
        if value is not None:
            request[name] = value
    if body.logit_bias:
        request["logit_bias"] = [[int(token), bias] for token, bias in body.logit_bias.items()]
    if body.seed is not None:
        request["seed"] = (body.seed + first_choice) % SEEDS
    return request
