"""From OpenAI's request to llama.cpp's, and what of it is refused."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jan_llamacpp.sampling import LONGEST_TOKEN, Parameters, sampling, too_long

from jan_core.errors import InvalidRequest, NotSupported

if TYPE_CHECKING:
    from jan_core.schemas.completions import CompletionRequest

MOST_CHOICES = 2048
"""Answers to one request, those that `best_of` drops included."""
MAX_TOKENS = 16
"""The limit of an answer where neither the request nor the model gives one."""

Text = str | list[int]
"""A prompt: text, or the numbers of its tokens."""


@dataclass(frozen=True, slots=True)
class Round:
    """What the engine does in one go: `choices` answers to each prompt.

    Attributes:
        prompts: the places of its prompts among those of the request.
        choices: answers to each of them.
        first: how many answers earlier rounds gave to the same prompt.
    """

    prompts: list[int]
    choices: int
    first: int

    @property
    def slots(self) -> int:
        """Answers that are computed at once."""
        return len(self.prompts) * self.choices


def texts(body: CompletionRequest) -> list[Text]:
    """The prompts of a request; one at least."""
    given: Any = body.prompt
    if given is None or isinstance(given, str):
        return [given or ""]
    return [given] if isinstance(given[0], int) else list(given)


def place(body: CompletionRequest, index: int) -> str:
    """The field that holds a prompt, for an error."""
    given: Any = body.prompt
    several = isinstance(given, list) and not isinstance(given[0], int)
    return f"prompt[{index}]" if several else "prompt"


def written(body: CompletionRequest) -> int:
    """How many answers are written for each prompt."""
    return max(body.n or 1, body.best_of or 0)


def limit(body: CompletionRequest, own: Parameters) -> int:
    """The most tokens of an answer."""
    given = own.max_tokens if body.max_tokens is None else body.max_tokens
    return MAX_TOKENS if given is None else given


def refuse(body: CompletionRequest) -> None:
    """Refuse what this module does not do.

    Raises:
        NotSupported, InvalidRequest: naming the field.
    """
    if body.echo and body.logprobs is not None:
        raise NotSupported(
            "logprobs: completions-llamacpp cannot tell how likely the tokens of a prompt are; "
            "leave out either 'echo' or 'logprobs'.",
            param="logprobs",
        )
    answers = len(texts(body)) * written(body)
    if answers > MOST_CHOICES:
        name = "best_of" if (body.best_of or 0) > (body.n or 1) else "n"
        raise InvalidRequest(
            f"{name}: {answers} answers to all prompts together are asked for; {MOST_CHOICES} are the most.",
            param=name,
            code="invalid_value",
        )


def check_tokens(body: CompletionRequest, vocabulary: int) -> None:
    """Refuse tokens that the model does not have.

    Raises:
        InvalidRequest: naming the first of them.
    """
    for index, text in enumerate(texts(body)):
        if isinstance(text, list) and max(text) >= vocabulary:
            at = next(number for number, token in enumerate(text) if token >= vocabulary)
            where = f"{place(body, index)}[{at}]"
            raise InvalidRequest(
                f"{where}: the model has the tokens 0 to {vocabulary - 1}, not {text[at]}.",
                param=where,
                code="invalid_value",
            )


def check_length(body: CompletionRequest, context: int) -> None:
    """Refuse what cannot fit the context whatever its tokens are, without handing megabytes to the engine.

    Raises:
        ContextLengthExceeded: a prompt has too many tokens, or too many characters for them.
    """
    for index, text in enumerate(texts(body)):
        if isinstance(text, list) and len(text) >= context:
            raise too_long("The prompt has", f"{len(text)} tokens", context, place(body, index))
        if len(text) > context * LONGEST_TOKEN:
            raise too_long("The prompt has", f"{len(text)} characters", context, place(body, index))
    if len(body.suffix or "") > context * LONGEST_TOKEN:
        raise too_long("The suffix has", f"{len(body.suffix or '')} characters", context, "suffix")


def rounds(prompts: int, choices: int, slots: int) -> Iterator[Round]:
    """Spread the answers over a model's slots: whole prompts at once where they fit, else one in several rounds.

    Args:
        prompts: how many there are.
        choices: answers to each.
        slots: answers that the model computes at once.
    """
    if choices <= slots:
        at_once = slots // choices
        for first in range(0, prompts, at_once):
            yield Round(list(range(first, min(prompts, first + at_once))), choices, 0)
        return
    for prompt in range(prompts):
        for first in range(0, choices, slots):
            yield Round([prompt], min(slots, choices - first), first)


def engine_request(body: CompletionRequest, own: Parameters, prompts: list[Text], part: Round) -> dict[str, Any]:
    """The request for the engine.

    Args:
        body: the caller's request, which `refuse` has let through.
        own: the model's parameters; the caller's values go before them.
        prompts: all prompts as the engine is to read them.
        part: which of them, and how many answers.
    """
    request: dict[str, Any] = {
        "prompt": [prompts[index] for index in part.prompts],
        "n": part.choices,
        "max_tokens": limit(body, own),
        "stream": True,
        "stream_options": {"include_usage": True},
        "return_progress": True,
        "cache_prompt": True,
        **sampling(body, own, part.first),
    }
    if body.logprobs is not None or written(body) > (body.n or 1):
        request["logprobs"] = max(1, body.logprobs or 0)
    return request
