"""What requests to chat and completions share: how llama.cpp is to choose tokens, and what its refusals mean."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jan_workers.model_json import parameters
from pydantic import BaseModel, ConfigDict, Field

from jan_core.errors import ContextLengthExceeded, EngineError, InvalidRequest, JanError

if TYPE_CHECKING:
    from jan_core.schemas.models import ModelLocation

LONGEST_TOKEN = 1024
"""Characters; no known vocabulary has a longer token."""

LEAST_PENALTY = 0.01
"""Less is 0 for a C float at some point, and llama.cpp refuses that without naming the field."""

DEFAULTS = {
    "temperature": 0.8,
    "top_k": 40,
    "top_p": 0.95,
    "min_p": 0.05,
    "typical_p": 1.0,
    "repeat_penalty": 1.0,
    "frequency_penalty": 0.0,
    "presence_penalty": 0.0,
}
"""What llama.cpp chooses tokens by where nobody says anything; a GGUF file may bring values of its own."""

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
    return parameters(location, Parameters)


def vocabulary_of(location: ModelLocation) -> int | None:
    """How many tokens a model has, as its file's header says it; None where it does not."""
    size = location.metadata.get("vocab_size")
    return size if isinstance(size, int) and size > 0 else None


def check_bias(body: Any, vocabulary: int | None) -> None:
    """Refuse a bias for tokens that the model does not have: the engine passes over them in silence.

    Args:
        body: a request with `logit_bias`, or None for it.
        vocabulary: how many tokens the model has; None where that is not known yet.

    Raises:
        InvalidRequest: naming the first of them.
    """
    for token in body.logit_bias or ():
        if vocabulary is not None and int(token) >= vocabulary:
            at = f'logit_bias["{token}"]'
            raise InvalidRequest(
                f"{at}: the model has the tokens 0 to {vocabulary - 1}.", param=at, code="invalid_value"
            )


def sampling(body: Any, own: Parameters, first_choice: int = 0) -> dict[str, Any]:
    """The fields of llama.cpp's request that say how tokens are chosen and where the text stops; no limit.

    Args:
        body: a request that has the fields of `Parameters`, `logit_bias` and `seed`; `None` where it says nothing.
        own: the model's parameters; the caller's values go before them.
        first_choice: how many answers earlier rounds gave; moves the seed on.

    Raises:
        InvalidRequest: a value that the API allows and llama.cpp does not.
    """
    if body.repeat_penalty is not None and body.repeat_penalty < LEAST_PENALTY:
        raise InvalidRequest(
            f"repeat_penalty: llama.cpp divides by it, so it must be at least {LEAST_PENALTY}; 1 changes nothing.",
            param="repeat_penalty",
            code="invalid_value",
        )
    request: dict[str, Any] = {}
    for name in Parameters.model_fields:
        if name == "max_tokens":
            continue
        value = getattr(body, name)
        value = getattr(own, name) if value is None else value
        if value is not None:
            request[name] = value
    if body.logit_bias:
        request["logit_bias"] = [[int(token), bias] for token, bias in body.logit_bias.items()]
    if body.seed is not None:
        request["seed"] = (body.seed + first_choice) % SEEDS
    return request


def too_long(what: str, length: str, context: int | None, param: str) -> ContextLengthExceeded:
    """The refusal of a prompt that does not fit.

    Args:
        what: the prompt, as the beginning of a sentence: `The messages are`.
        length: how long it is: `900 tokens`.
        context: tokens that the model is loaded for.
        param: the field at fault.
    """
    return ContextLengthExceeded(
        f"{what} {length}; this model is loaded for {context} tokens of prompt and answer together. "
        "Shorten it, or set ctx_len in the model's model.json if the model can do more.",
        param=param,
        context=context,
    )


def engine_error(told: dict[str, Any], what: str, param: str) -> JanError:
    """What the engine's refusal means to the caller.

    Args:
        told: the `error` of one of the engine's pieces.
        what: the prompt, as the beginning of a sentence: `The messages are`.
        param: the field that holds it.
    """
    message = str(told.get("message", "the engine gave no reason"))[:500]
    if told.get("type") == "exceed_context_size_error":
        return too_long(what, f"{told.get('n_prompt_tokens')} tokens", told.get("n_ctx"), param)
    if told.get("type") == "invalid_request_error" or told.get("code") == 400:
        return InvalidRequest(f"The engine refused the request: {message}", code="engine_refused")
    return EngineError(f"The engine failed: {message}")
