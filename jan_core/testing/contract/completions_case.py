"""An app with completions under test, and what the parts of their contract share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import BaseModel

from jan_core.endpoint import Endpoint
from jan_core.endpoints.completions import Completions
from jan_core.schemas.completions import CompletionRequest
from jan_core.testing.contract.answers_case import AnswersCase, OfAnswers
from jan_core.testing.contract.case import Case
from jan_core.testing.contract.watch import Watch
from jan_core.testing.contract.watch_answers import CompletionWatch

PATH = "/completions"


class CompletionsCase(AnswersCase):
    """An app with a model that goes on with texts. What is said is a prompt, in whichever form."""

    path: ClassVar[str] = PATH
    schema: ClassVar[type[BaseModel]] = CompletionRequest

    def asking(self, said: Any) -> dict[str, Any]:
        """See `AnswersCase`."""
        return {"prompt": said}

    def said(self, choice: dict[str, Any]) -> str | None:
        """See `AnswersCase`."""
        return str(choice["text"])


class OfCompletions(OfAnswers):
    """What the parts of the contract share.

    Attributes:
        whole_characters: False for a model that writes bytes by itself which are no characters.
    """

    endpoint: ClassVar[type[Endpoint]] = Completions
    letter: ClassVar[str] = "P"
    case: ClassVar[type[Case]] = CompletionsCase
    live: ClassVar[Mapping[str, type[Watch]]] = {"create": CompletionWatch, "create_stream": CompletionWatch}
    whole_characters: ClassVar[bool] = True
    long: ClassVar[str] = (
        "one two three four five six seven eight nine ten one two three four five six seven eight nine ten "
        "one two three four five six seven eight nine ten one two three four"
    )
    endless: ClassVar[str] = "Once upon a time there was a sailor, who told a very long story about the sea:"
