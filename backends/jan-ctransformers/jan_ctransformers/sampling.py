"""What requests to chat and completions share: how ctransformers is to choose tokens, and what its refusals mean."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jan_workers.model_json import parameters
from pydantic import BaseModel, ConfigDict, Field

from jan_core.errors import ContextLengthExceeded, EngineError, InvalidRequest, JanError, NotSupported

if TYPE_CHECKING:
    from jan_core.schemas.models import ModelLocation

LEAST_PENALTY = 0.01
"""The library divides by it."""
LONGEST_TOKEN = 1024
"""Characters; no known vocabulary has a longer token."""
_NEUTRAL = {"frequency_penalty": 0, "presence_penalty": 0, "min_p": 0, "typical_p": 1}
"""Ways of choosing that the library lacks, and the value with which they change nothing."""


class Parameters(BaseModel):
    """`parameters` of `model.json`: what a request takes where it gives no value. Other keys are left to others."""

    model_config = ConfigDict(strict=True, extra="ignore", allow_inf_nan=False)

    temperature: float | None = Field(default=None, ge=0, le=2)
    top_p: float | None = Field(default=None, ge=0, le=1)
    top_k: int | None = Field(default=None, ge=0, le=100_000)
    repeat_penalty: float | None = Field(default=None, ge=LEAST_PENALTY, le=10)
    repeat_last_n: int | None = Field(default=None, ge=0, le=1 << 24)
    max_tokens: int | None = Field(default=None, ge=1, le=2**31 - 1)
    stop: str | list[str] | None = None


def defaults(location: ModelLocation) -> Parameters:
    """The model's own parameters.

    Raises:
        InvalidRequest: `model.json` has one of a wrong type or out of range.
    """
    return parameters(location, Parameters)


def refuse(body: Any, module: str) -> None:
    """Refuse the ways of choosing tokens that the library lacks.

    Args:
        body: a request that has the fields of `Parameters`, the penalties and `logit_bias`; None where it says nothing.
        module: who refuses, for messages.

    Raises:
        NotSupported: naming the field.
        InvalidRequest: a penalty so small that the library could not divide by it.
    """
    for name, neutral in _NEUTRAL.items():
        if getattr(body, name) not in (None, neutral):
            raise NotSupported(f"{name}: {module} cannot do it; leave it out or give {neutral}.", param=name)
    if body.logit_bias:
        raise NotSupported(f"logit_bias: {module} cannot favour single tokens; leave it out.", param="logit_bias")
    if body.repeat_penalty is not None and body.repeat_penalty < LEAST_PENALTY:
        raise InvalidRequest(
            f"repeat_penalty: ctransformers divides by it, so it must be at least {LEAST_PENALTY}; 1 changes nothing.",
            param="repeat_penalty",
            code="invalid_value",
        )


def sampling(body: Any, own: Parameters, choice: int) -> dict[str, Any]:
    """The fields of `generation.Sampling` but for `max_tokens`, as far as request or model say them.

    Args:
        body: see `refuse`; also `seed`.
        own: the model's parameters; the caller's values go before them.
        choice: which answer to the same request this is, from 0; moves the seed on.
    """
    found: dict[str, Any] = {}
    for name in Parameters.model_fields:
        if name != "max_tokens":
            value = getattr(body, name, None)
            value = getattr(own, name) if value is None else value
            if value is not None:
                found[name] = value
    if body.seed is not None:
        found["seed"] = body.seed + choice
    return found


def check_length(length: int, context: int, field: str) -> None:
    """Refuse what cannot fit the context whatever its tokens are, without handing megabytes to the worker.

    Args:
        length: characters of the text.
        context: tokens that the model is loaded for.
        field: of the request, for the message.

    Raises:
        ContextLengthExceeded: there are more than `LONGEST_TOKEN` characters for each token of the context.
    """
    if length > context * LONGEST_TOKEN:
        raise _too_long(field, f"{length} characters; this model is loaded for {context} tokens of prompt and answer")


def refused(told: dict[str, Any], field: str) -> JanError:
    """The error that a worker's piece `{"error": …}` is.

    Args:
        told: its content.
        field: of the request that holds the text.
    """
    code, message = told["code"], told["message"]
    if code == "context_length_exceeded":
        return _too_long(field, message)
    if code == "no_chat_template":
        return InvalidRequest(
            "The model's file brings no chat template, and its model.json names none. Set settings.chat_template there "
            "(chatml, llama-2, alpaca, vicuna, … or a Jinja template), or use /v1/completions.",
            param="model",
            code=code,
        )
    if code in ("unreadable_text", "unknown_token", "empty_prompt"):
        return InvalidRequest(f"{field} cannot be given to the model: {message}.", param=field, code=code)
    return EngineError(f"The engine failed: {message}", code=code)


def _too_long(field: str, told: str) -> ContextLengthExceeded:
    told = told.removesuffix(" together")
    return ContextLengthExceeded(
        f"{field.capitalize()}: {told} together. Shorten it, or set ctx_len in the model's model.json if the model can "
        "do more.",
        param=field,
    )
