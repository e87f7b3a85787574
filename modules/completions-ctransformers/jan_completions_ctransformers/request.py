"""What of OpenAI's request ctransformers takes, and what of it is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jan_ctransformers import sampling

from jan_core.errors import NotSupported

if TYPE_CHECKING:
    from jan_core.schemas.completions import CompletionRequest

MODULE = "completions-ctransformers"
USUAL_LIMIT = 16
"""Tokens of an answer where neither request nor model say how many: what the API says."""

Prompt = str | list[int]
"""A text, or the numbers of its tokens."""


def refuse(body: CompletionRequest) -> None:
    """Refuse what this module does not do.

    Raises:
        NotSupported: naming the field.
        InvalidRequest: a value that the API allows and the library does not.
    """
    if body.suffix:
        raise NotSupported(f"suffix: {MODULE} cannot fill a gap before it; leave it out.", param="suffix")
    if body.logprobs is not None:
        raise NotSupported(f"logprobs: {MODULE} does not tell probabilities; leave it out.", param="logprobs")
    if (body.best_of or 0) > (body.n or 1):
        raise NotSupported(f"best_of: {MODULE} cannot tell which answers are the best; leave it out.", param="best_of")
    sampling.refuse(body, MODULE)


def prompts(body: CompletionRequest) -> list[Prompt]:
    """The prompts, one or several; an empty one is the beginning of any text."""
    given = body.prompt
    if given is None or isinstance(given, str):
        return [given or ""]
    texts = [one for one in given if isinstance(one, str)]
    if texts:
        return [*texts]
    numbers = [one for one in given if isinstance(one, int)]
    if numbers:
        return [numbers]
    return [list(one) for one in given if not isinstance(one, str | int)]


def limit(body: CompletionRequest, own: sampling.Parameters) -> int:
    """The most tokens that an answer may have."""
    if body.max_tokens is not None:
        return body.max_tokens
    return USUAL_LIMIT if own.max_tokens is None else own.max_tokens
