"""What the model is asked: the thread's messages and the run's settings, as a chat request."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from jan_core.errors import InvalidRequest
from jan_core.schemas.common import MOST
from jan_core.schemas.messages import MessagesQuery
from jan_core.schemas.tools import AssistantFunctionTool

if TYPE_CHECKING:
    from jan_core.app import Jan
    from jan_core.schemas.chat import ChatCompletionRequest
    from jan_core.schemas.messages import Message
    from jan_core.schemas.runs import Run
    from jan_runs.notes import Notes, Round

PAGE = 100
"""Messages that are read at once."""
CHARACTERS = 4_000_000
"""Once the newest messages have so many, older ones are not read: no model's context holds more."""
ROOM_FOR_MARKS = 64
"""Tokens that a chat template may put around a message, and in front of all of them."""


async def newest_messages(jan: Jan, run: Run, notes: Notes, characters: int | None = None) -> list[Message]:
    """The messages of the thread that the model may be shown, oldest first: as many as may fit, no more are read.

    What this run has said itself is left out: it stands in `notes.rounds`. So is what is being said, and what is empty.

    Args:
        jan: the running app.
        run: gives the thread, and how many.
        notes: what the run has said and is saying.
        characters: once the newest messages have so many, older ones are not read; default `CHARACTERS`, which is also
            the most.

    Raises:
        InvalidRequest: what came of the run's tools fills a request already.
    """
    most = most_messages(run, notes)
    own = {one.message for one in notes.rounds if one.message is not None}
    if notes.saying is not None:
        own.add(notes.saying.id)
    found: list[Message] = []
    read, after = 0, None
    enough = CHARACTERS if characters is None else min(CHARACTERS, characters)
    while len(found) < most and read < enough:
        limit = min(most - len(found) + len(own), PAGE)
        page = await jan.messages.list(run.thread_id, MessagesQuery(limit=limit, order="desc", after=after))
        for message in page.data:
            if message.id in own or message.status == "in_progress" or not (message.content or message.attachments):
                continue
            found.append(message)
            read += length(message)
            if len(found) == most or read >= enough:
                break
        if not page.has_more:
            break
        after = page.last_id
    found.reverse()
    return found


def most_messages(run: Run, notes: Notes) -> int:
    """How many messages of the thread the model may be shown, by the run's settings and by what it has called so far.

    Raises:
        InvalidRequest: what came of the run's tools fills a request already.
    """
    room = MOST - _others(run, notes)
    if room < 1:
        raise InvalidRequest(
            f"The run {run.id} has called so many tools that no request holds what came out: the instructions, the "
            f"calls and their outputs are {MOST - room:,} messages, and with one of the thread {MOST:,} fit. Begin "
            "another run.",
            param="messages",
        )
    return min(run.truncation_strategy.last_messages or room, room)


def _others(run: Run, notes: Notes) -> int:
    """How many messages of a request are none of the thread's."""
    return bool(run.instructions) + sum(1 + len(one.calls) for one in notes.rounds)


def length(message: Message) -> int:
    """Characters of a message that the model would read."""
    return sum(_length(part) for part in message.content)


def _length(part: Any) -> int:
    if part.type == "text":
        return len(part.text.value)
    return len(part.image_url.url) if part.type == "image_url" else 0


class Prompt:
    """The conversation of a run, and the chat requests for its newest part.

    Args:
        run: gives the settings.
        notes: gives the parameters and the answers that this run has given already.
        messages: the thread's messages, oldest first.
        own: tools that are carried out here, besides the run's.

    Raises:
        InvalidRequest: the model cannot be shown one of them, or a tool needs files; the message says which.
    """

    def __init__(
        self, run: Run, notes: Notes, messages: Sequence[Message], own: Sequence[AssistantFunctionTool] = ()
    ) -> None:
        self._run = run
        self._head = [{"role": "system", "content": run.instructions}] if run.instructions else []
        # A model continues a conversation; where nobody has said anything, it is to begin.
        self._messages = [_said(message) for message in messages] or [{"role": "user", "content": ""}]
        self._tail = [told for one in notes.rounds for told in _round(one)]
        # Where an answer is the last, the model is to give another one, and not to go on with that.
        self._turn = [{"role": "user", "content": ""}] if not self._tail and self._answered() else []
        self._settings = _settings(run, notes, own)
        users = [index for index, one in enumerate(self._messages) if one["role"] == "user"]
        self.least = len(self._messages) - (users[-1] if users else max(0, len(self._messages) - 1))
        """How many of the newest messages are always shown: those from the newest of a user on."""
        self.sizes = [_characters(one) for one in self._messages]
        """Characters of each message."""

    def _answered(self) -> bool:
        return bool(self._messages[-1]["role"] == "assistant")

    @property
    def longest_answer(self) -> int | None:
        """The most tokens that the settings allow an answer; None where they say nothing."""
        return self._settings.get("max_completion_tokens") or self._settings.get("max_tokens")

    def surely_within(self, tokens: int) -> bool:
        """True where all of it has so many tokens at most, however the model counts: none is shorter than a byte."""
        told = [*self._head, *self._messages, *self._turn, *self._tail]
        if sum(map(_characters, told)) > tokens:  # no byte needs to be counted
            return False
        return ROOM_FOR_MARKS * (1 + len(told)) + len(json.dumps([told, self._settings])) <= tokens

    def __len__(self) -> int:
        """How many messages of the thread there are to show."""
        return len(self._messages)

    def request(self, count: int, limit: int | None) -> ChatCompletionRequest:
        """The chat request that shows the newest messages.

        Args:
            count: how many of them.
            limit: the most tokens that the answer may have; None leaves it to the settings.

        Raises:
            InvalidRequest: a setting, or a message, is none that a chat request can have.
        """
        from jan_core.schemas.chat import ChatCompletionRequest
        from jan_core.validation import checked

        count = min(count, MOST - len(self._head) - len(self._turn) - len(self._tail))
        shown = self._messages[len(self._messages) - count :] if count > 0 else []
        settings = dict(self._settings)
        if limit is not None:
            settings.pop("max_tokens", None)  # of a weaker layer, under its older name
            settings["max_completion_tokens"] = limit
        asked = {
            "model": self._run.model,
            "messages": [*self._head, *shown, *self._turn, *self._tail],
            "stream": True,
            "stream_options": {"include_usage": True},
            **settings,
        }
        try:
            return checked(ChatCompletionRequest, asked)
        except InvalidRequest as error:
            raise InvalidRequest(
                f"The model cannot be asked with the settings that hold for this run. {error.message} Mend it where it "
                "is set: in the run, the thread, the assistant or the model.",
                param=error.param,
                code=error.code,
            ) from None


def _settings(run: Run, notes: Notes, own: Sequence[AssistantFunctionTool]) -> dict[str, Any]:
    found = dict(notes.parameters)
    for name in ("temperature", "top_p", "reasoning_effort"):
        if (value := getattr(run, name)) is not None:
            found[name] = value
    if run.response_format != "auto":
        found["response_format"] = run.response_format.model_dump(mode="json", by_alias=True, exclude_unset=True)
    tools = []
    for tool in (*run.tools, *own):
        if not isinstance(tool, AssistantFunctionTool):
            raise InvalidRequest(
                f"The run has the tool {tool.type}, which needs files, and there are none here yet; take it out of the "
                "tools of the assistant, or give the run other tools.",
                param="tools",
                code="not_supported",
            )
        tools.append(tool.model_dump(mode="json", exclude_unset=True))
    if tools:
        choice = run.tool_choice
        if notes.rounds and choice != "none":
            choice = "auto"  # what was forced has been done; forced again, it would never end
        found["tools"] = tools
        if choice != "auto":
            found["tool_choice"] = choice if isinstance(choice, str) else choice.model_dump(mode="json")
        if not run.parallel_tool_calls:
            found["parallel_tool_calls"] = False
    return found


def _said(message: Message) -> dict[str, Any]:
    """A message of the thread as one of a chat request."""
    why = unreadable(message)
    if why is not None:
        raise InvalidRequest(
            f"The model cannot be shown the message {message.id}: {why}. Delete the message, or ask in another thread.",
            param="messages",
            code="not_supported",
        )
    parts: list[dict[str, Any]] = []
    for part in message.content:
        if part.type == "text":
            parts.append({"type": "text", "text": part.text.value})
        elif part.type == "refusal":
            parts.append({"type": "refusal", "refusal": part.refusal})
        elif part.type == "image_url":
            parts.append({"type": "image_url", "image_url": part.image_url.model_dump(exclude_unset=True)})
    if len(parts) == 1 and parts[0]["type"] == "text":
        return {"role": message.role, "content": parts[0]["text"]}
    return {"role": message.role, "content": parts}


def unreadable(message: Message) -> str | None:
    """Why a model cannot be shown a message; None where it can."""
    if message.attachments:
        return "it has attachments, and there are no files here yet"
    for part in message.content:
        if part.type == "image_file":
            return "it has an image_file, and there are no files here yet"
        if part.type == "image_url" and message.role != "user":
            return "it is an assistant's and has an image, which models take from users only"
    return None


def _round(one: Round) -> list[dict[str, Any]]:
    """An answer that ended in calls, and their outputs."""
    calls = [
        {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
        for call in one.calls
    ]
    answer = {"role": "assistant", "content": one.text or None, "tool_calls": calls}
    outputs = [{"role": "tool", "tool_call_id": call.id, "content": call.output or ""} for call in one.calls]
    return [answer, *outputs]


def _characters(message: dict[str, Any]) -> int:
    content = message["content"]
    return len(content) if isinstance(content, str) else sum(len(str(part)) for part in content)
