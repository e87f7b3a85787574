"""The request as another server is asked it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from jan_upstreams.choosing import of_text

from jan_core.errors import NotSupported

if TYPE_CHECKING:
    from jan_core.schemas.completions import CompletionRequest

SHORT = 16
"""Tokens of an answer where nobody says, as the API has it; servers have other ideas."""
OWN = frozenset({"model", "stream", "stream_options", "echo", "prompt", "n", "best_of"})
"""Fields that are not handed on as they are."""


def prompts(body: CompletionRequest) -> list[Any]:
    """The prompts of a request, each a text or a list of tokens."""
    given = body.prompt
    if given is None or isinstance(given, str):
        return [given or ""]
    if given and isinstance(given[0], int):
        return [given]
    return list(given)


def refuse(body: CompletionRequest) -> None:
    """Refuse what is not done through another server.

    Raises:
        NotSupported: naming the field.
    """
    if body.suffix is not None:
        raise NotSupported("suffix: completions-openai does not fill gaps; leave it out.", param="suffix")
    if (body.best_of or 0) > (body.n or 1):
        raise NotSupported("best_of: completions-openai does not choose; leave it out.", param="best_of")
    if body.echo and not all(isinstance(one, str) for one in prompts(body)):
        raise NotSupported("echo: the text of tokens is not known here; give a text.", param="echo")
    if body.echo and body.logprobs is not None:
        raise NotSupported("logprobs: not together with `echo`; leave one of them out.", param="logprobs")


def asked(body: CompletionRequest, model: str) -> dict[str, Any]:
    """What another server is asked, but for the prompt: a stream of one answer that tells its usage.

    Args:
        body: what Jan was asked. Each prompt and each of several answers is asked for by itself, since servers count
            them differently.
        model: the model's own id.
    """
    given = body.model_dump(mode="json", exclude_none=True, exclude_unset=True, exclude=set(OWN))
    given.setdefault("max_tokens", SHORT)
    # What the API does not know goes as it came: a null may mean something to its server.
    given |= body.model_extra or {}
    return {"model": model, "prompt": None, **given, "stream": True, "stream_options": {"include_usage": True}}


def encoded(request: dict[str, Any], prompt: Any, index: int = 0) -> bytes:
    """A request for one answer to one prompt, as JSON.

    Args:
        request: what is asked.
        prompt: a text, or the numbers of its tokens.
        index: which answer to it; with a seed, each gets one of its own.
    """
    request = {**request, "prompt": prompt}
    if index and "seed" in request:
        request["seed"] = (request["seed"] + index) % 2**31
    return json.dumps(request, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")


def key_of(model: str, prompt: Any) -> bytes:
    """What the server is chosen by: the text's beginning."""
    return of_text(model, prompt)
