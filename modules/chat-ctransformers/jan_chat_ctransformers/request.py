"""What of OpenAI's request ctransformers takes, and what of it is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jan_ctransformers import sampling

from jan_core.errors import NotSupported

if TYPE_CHECKING:
    from jan_core.schemas.chat import ChatCompletionRequest

MODULE = "chat-ctransformers"
REFUSED: dict[str, str] = {
    "tools": "tools",
    "functions": "functions",
    "function_call": "functions",
    "audio": "spoken answers",
    "prediction": "predicted output",
    "web_search_options": "web search",
    "moderation": "moderation",
    "store": "keep completions",
}
"""Fields that mean something this module does not do, and what that is."""


def refuse(body: ChatCompletionRequest) -> None:
    """Refuse what this module does not do.

    Raises:
        NotSupported: naming the field.
        InvalidRequest: a value that the API allows and the library does not.
    """
    for name, what in REFUSED.items():
        if getattr(body, name):
            raise NotSupported(f"{name}: {MODULE} does not do {what}; leave {name!r} out.", param=name)
    if body.tool_choice not in (None, "none", "auto"):
        raise NotSupported(f"tool_choice: {MODULE} does not call tools; leave it out.", param="tool_choice")
    if body.response_format is not None and body.response_format.type != "text":
        kind = body.response_format.type
        raise NotSupported(
            f"response_format: {MODULE} answers in plain text only, not {kind!r}; leave it out, or use a model in "
            "GGUF with llama.cpp.",
            param="response_format",
        )
    if body.logprobs or body.top_logprobs:
        name = "logprobs" if body.logprobs else "top_logprobs"
        raise NotSupported(f"{name}: {MODULE} does not tell probabilities; leave it out.", param=name)
    if body.modalities is not None and body.modalities != ["text"]:
        raise NotSupported(f'modalities: {MODULE} answers in text; give ["text"] or nothing.', param="modalities")
    if body.reasoning_effort not in (None, "none"):
        raise NotSupported(f"reasoning_effort: {MODULE} cannot set it; leave it out.", param="reasoning_effort")
    if body.verbosity not in (None, "medium"):
        raise NotSupported(f"verbosity: {MODULE} cannot set it; leave it out.", param="verbosity")
    sampling.refuse(body, MODULE)


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
                f"{at}.role: {MODULE} does not do tools, so it takes no {message.role!r}.", param=f"{at}.role"
            )
        for name in ("tool_calls", "function_call", "audio"):
            if getattr(message, name, None):
                raise NotSupported(f"{at}.{name}: {MODULE} does not do tools or audio.", param=f"{at}.{name}")
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
            raise NotSupported(f"{where}: {MODULE} reads text only, no {what}.", param=f"{where}.type")
    return "\n".join(texts)
