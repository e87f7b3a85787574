"""The conversation as the engine's chat template takes it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jan_chat_llamacpp.call_text import instructions, past_calls, readable_arguments, result_text
from jan_chat_llamacpp.form import Form
from jan_chat_llamacpp.images import MOST_IMAGES, check_image
from jan_chat_llamacpp.places import inside
from jan_chat_llamacpp.template_facts import TemplateFacts
from jan_core.errors import InvalidRequest, NotSupported

if TYPE_CHECKING:
    from jan_core.schemas.chat import ChatCompletionRequest

_RESULTS = "results"
"""Marks, while the conversation is made, a message of results that further results belong to."""
_PARTS = {"image_url": "images", "input_audio": "sound", "file": "files"}


def messages(
    body: ChatCompletionRequest, form: Form, facts: TemplateFacts, *, images: bool = False
) -> list[dict[str, Any]]:
    """The conversation: `developer` is `system`, and where the template knows no tools, calls and results are text.

    Args:
        body: the request.
        form: what the answer is to look like; its tools are described where the template cannot.
        facts: what the template can do.
        images: whether the model reads images.

    Raises:
        NotSupported: a part that the model cannot read; names the place.
        InvalidRequest: an image that cannot be read, or too many.
    """
    found: list[dict[str, Any]] = []
    pictures = 0
    for index, message in enumerate(body.messages):
        at = f"messages[{index}]"
        if message.role == "assistant":
            found.append(_answer(message, at, facts))
        elif message.role in ("tool", "function"):
            _add_result(found, message, facts)
        else:
            content, seen = _content(message.content, at, images)
            pictures += seen
            found.append({"role": "system" if message.role == "developer" else message.role, "content": content})
    if pictures > MOST_IMAGES:
        raise InvalidRequest(
            f"messages: {pictures} images; a request may have {MOST_IMAGES}.", param="messages", code="invalid_value"
        )
    for one in found:
        one.pop(_RESULTS, None)
    if form.calling.mode != "none" and facts.tools == "none":
        _instruct(found, instructions(form.calling))
    return found


def length(conversation: list[dict[str, Any]]) -> int:
    """The characters of a conversation that become tokens; an image's do not."""
    total = 0
    for message in conversation:
        content = message.get("content") or ""
        parts = [content] if isinstance(content, str) else [part.get("text", "") for part in content]
        total += sum(map(len, parts))
        total += sum(len(call["function"]["arguments"]) for call in message.get("tool_calls", ()))
    return total


def _answer(message: Any, at: str, facts: TemplateFacts) -> dict[str, Any]:
    """An earlier answer."""
    if message.audio is not None:
        raise NotSupported(f"{at}.audio: chat-llamacpp does not speak.", param=f"{at}.audio")
    calls = []
    for index, call in enumerate(message.tool_calls or ()):
        if call.type == "custom":
            place = inside(at, "tool_calls", index, "type")
            raise NotSupported(f"{place}: chat-llamacpp knows functions only, no custom tools.", param=place)
        calls.append((call.id, call.function.name, readable_arguments(call.function.arguments)))
    if message.function_call is not None:
        call = message.function_call
        calls.append((f"call_{call.name}", call.name, readable_arguments(call.arguments)))
    content = message.content if message.content is not None else message.refusal
    text, _ = _content(content or "", at, images=False)
    found: dict[str, Any] = {"role": "assistant", "content": text}
    if message.reasoning_content:
        found["reasoning_content"] = message.reasoning_content
    if calls and facts.tools == "none":
        found["content"] = "\n".join(filter(None, [text, past_calls([call[1:] for call in calls])]))
    elif calls:
        found["tool_calls"] = [
            {"id": one, "type": "function", "function": {"name": name, "arguments": arguments}}
            for one, name, arguments in calls
        ]
    return found


def _add_result(found: list[dict[str, Any]], message: Any, facts: TemplateFacts) -> None:
    """The result of a call; where the template knows none, the results of one answer are one message of the user."""
    text, _ = _content(message.content or "", "", images=False)
    if facts.tools != "none":
        one = message.tool_call_id if message.role == "tool" else f"call_{message.name}"
        found.append({"role": "tool", "tool_call_id": one, "content": text})
        return
    text = result_text(text)
    if found and _RESULTS in found[-1]:
        found[-1]["content"] += "\n" + text
    else:
        found.append({"role": "user", "content": text, _RESULTS: True})


def _instruct(found: list[dict[str, Any]], text: str) -> None:
    if found and found[0]["role"] == "system":
        found[0] = {**found[0], "content": f"{found[0]['content']}\n\n{text}" if found[0]["content"] else text}
    else:
        found.insert(0, {"role": "system", "content": text})


def _content(content: Any, at: str, images: bool) -> tuple[Any, int]:
    """Text, or parts where there are images; and how many images."""
    if isinstance(content, str):
        return content, 0
    parts: list[dict[str, Any]] = []
    pictures = 0
    for index, part in enumerate(content):
        where = f"{at}.content[{index}]"
        if part.type == "text":
            parts.append({"type": "text", "text": part.text})
        elif part.type == "refusal":
            parts.append({"type": "text", "text": part.refusal})
        elif part.type == "image_url" and images:
            check_image(part.image_url.url, f"{where}.image_url.url")
            parts.append({"type": "image_url", "image_url": {"url": part.image_url.url}})
            pictures += 1
        elif part.type == "image_url":
            raise NotSupported(
                f"{where}: this model reads text only, no images: it has no projector (`mmproj`).",
                param=f"{where}.type",
            )
        else:
            what = _PARTS.get(part.type, part.type)
            raise NotSupported(f"{where}: chat-llamacpp reads no {what}.", param=f"{where}.type")
    if not pictures:
        return "\n".join(part["text"] for part in parts), 0
    return parts, pictures
