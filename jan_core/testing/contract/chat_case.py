"""An app with chat under test, and what the parts of its contract share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import BaseModel

from jan_core.endpoint import Endpoint
from jan_core.endpoints.chat import Chat
from jan_core.schemas.chat import ChatCompletionRequest
from jan_core.testing.contract.answers_case import AnswersCase, OfAnswers
from jan_core.testing.contract.case import Case
from jan_core.testing.contract.watch import Watch
from jan_core.testing.contract.watch_answers import ChatWatch

PATH = "/chat/completions"


class ChatCase(AnswersCase):
    """An app with a model to talk to. What is said is a text, a list of parts, or a list of messages."""

    path: ClassVar[str] = PATH
    schema: ClassVar[type[BaseModel]] = ChatCompletionRequest

    def asking(self, said: Any) -> dict[str, Any]:
        """See `AnswersCase`."""
        is_messages = isinstance(said, list) and "role" in said[0]
        return {"messages": said if is_messages else [{"role": "user", "content": said}]}

    def said(self, choice: dict[str, Any]) -> str | None:
        """See `AnswersCase`."""
        text: str | None = choice["message"]["content"]
        return text


class OfChat(OfAnswers):
    """What the parts of the contract share."""

    endpoint: ClassVar[type[Endpoint]] = Chat
    letter: ClassVar[str] = "C"
    case: ClassVar[type[Case]] = ChatCase
    live: ClassVar[Mapping[str, type[Watch]]] = {"create": ChatWatch, "create_stream": ChatWatch}
    long: ClassVar[str] = (
        "Say this again, word by word: one two three four five six seven eight nine ten eleven twelve thirteen "
        "fourteen fifteen sixteen seventeen eighteen nineteen twenty"
    )
    endless: ClassVar[str] = "Tell me a very long story about the sea, with as many details as you can think of."
