"""From OpenAI's request to llama.cpp's, and what of it is refused."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from jan_llamacpp.sampling import LONGEST_TOKEN, Parameters, sampling, too_long

from jan_chat_llamacpp.form import Form
from jan_chat_llamacpp.messages import length
from jan_chat_llamacpp.template_facts import TemplateFacts
from jan_chat_llamacpp.tools import Calling
from jan_core.errors import InvalidRequest, NotSupported

if TYPE_CHECKING:
    from jan_core.schemas.chat import ChatCompletionRequest

REFUSED: dict[str, str] = {
    "audio": "spoken answers",
    "prediction": "predicted output",
    "web_search_options": "web search",
    "moderation": "moderation",
}
"""Fields that mean something this module does not do, and what that is."""

_EFFORTS = {"minimal": "low", "xhigh": "high", "max": "high"}
"""Efforts that templates do not know, and the nearest that they do."""


def refuse(body: ChatCompletionRequest) -> None:
    """Refuse what this module does not do.

    Raises:
        NotSupported: naming the field.
        InvalidRequest: fields that do not go together.
    """
    for name, what in REFUSED.items():
        if getattr(body, name):
            raise NotSupported(f"{name}: chat-llamacpp does not do {what}; leave {name!r} out.", param=name)
    if body.top_logprobs is not None and not body.logprobs:
        raise InvalidRequest(
            "top_logprobs: only together with `logprobs: true`.", param="top_logprobs", code="invalid_value"
        )
    if body.modalities is not None and body.modalities != ["text"]:
        raise NotSupported('modalities: chat-llamacpp answers in text; give ["text"] or nothing.', param="modalities")
    if body.store:
        raise NotSupported("store: chat-llamacpp keeps no completions; leave it out.", param="store")
    if body.verbosity not in (None, "medium"):
        raise NotSupported("verbosity: chat-llamacpp cannot set it; leave it out.", param="verbosity")


def thinking(body: ChatCompletionRequest, facts: TemplateFacts) -> dict[str, Any]:
    """What `reasoning_effort` means to the model's template: the variables that it is given.

    Raises:
        NotSupported: the template knows no such thing.
    """
    effort = body.reasoning_effort
    if effort is None or (effort == "none" and facts.thoughts == "none"):
        return {}
    if facts.can_stop_thinking:
        given: dict[str, Any] = {"enable_thinking": effort != "none"}
        return {**given, "reasoning_effort": _EFFORTS.get(effort, effort)} if facts.effort else given
    if facts.effort and effort != "none":
        return {"reasoning_effort": _EFFORTS.get(effort, effort)}
    raise NotSupported(
        "reasoning_effort: the model's chat template cannot set it; leave it out.", param="reasoning_effort"
    )


def check_length(conversation: list[dict[str, Any]], calling: Calling, facts: TemplateFacts, context: int) -> str:
    """Refuse what cannot fit the context whatever its tokens are, without handing megabytes to the engine.

    Returns:
        The field to blame where the engine finds the prompt too long: `tools` (or `functions`) where those are longer
        than the messages, else `messages`.

    Raises:
        ContextLengthExceeded: there are more than `LONGEST_TOKEN` characters for each token of the context.
    """
    characters = length(conversation)
    tools = sum(len(json.dumps(tool.described(), ensure_ascii=False)) for tool in calling.tools)
    if facts.tools != "none":
        characters += tools  # elsewhere they are in the conversation already
    field = "messages" if 2 * tools <= characters else "functions" if calling.older else "tools"
    if characters > context * LONGEST_TOKEN:
        raise too_long(what_of(field), f"{characters} characters", context, field)
    return field


def what_of(field: str) -> str:
    """The prompt as the beginning of a sentence, for a field that `check_length` returned."""
    return "The messages are" if field == "messages" else f"The {field} and the messages are"


def prompt_request(
    conversation: list[dict[str, Any]], form: Form, facts: TemplateFacts, variables: dict[str, Any]
) -> dict[str, Any]:
    """The part of the engine's request that becomes the prompt.

    Args:
        conversation: what `messages` made of the caller's.
        form: what the answer is to look like.
        facts: what the template can do.
        variables: what the template is given besides; see `thinking`.
    """
    request: dict[str, Any] = {"messages": conversation}
    tools = [tool.described() for tool in form.calling.tools]
    if form.reader == "engine":
        request["tools"] = tools
        request["parallel_tool_calls"] = form.calling.most > 1
    elif tools and facts.tools != "none":
        # The template shows them; but the engine, which is not told, leaves the form of the answer to our grammar.
        variables = {**variables, "tools": tools}
    if form.thoughts != "none":
        request["reasoning_format"] = "none"  # they are told apart here
    if variables:
        request["chat_template_kwargs"] = variables
    return request


def engine_request(
    body: ChatCompletionRequest,
    own: Parameters,
    prompt: dict[str, Any],
    form: Form,
    *,
    choices: int = 1,
    first_choice: int = 0,
) -> dict[str, Any]:
    """The request for the engine.

    Args:
        body: the caller's request, which `refuse` has let through.
        own: the model's parameters; the caller's values go before them.
        prompt: from `prompt_request`.
        form: what the answer is to look like.
        choices: answers wanted in this round.
        first_choice: how many answers earlier rounds gave; moves the seed on.
    """
    request: dict[str, Any] = {
        **prompt,
        "stream": True,
        "stream_options": {"include_usage": True},
        "return_progress": True,
        "cache_prompt": True,
        "n": choices,
        **sampling(body, own, first_choice),
    }
    limit = body.max_completion_tokens or body.max_tokens or own.max_tokens
    if limit is not None:
        request["max_tokens"] = limit
    if form.grammar is not None:
        request["grammar"] = form.grammar
    if form.reader == "own" and form.calling.mode == "required":
        request.pop("stop", None)  # it ends text, and here there is none: it would cut the calls
    if body.logprobs:
        request["logprobs"] = True
        request["top_logprobs"] = max(1, body.top_logprobs or 0)
    return request
