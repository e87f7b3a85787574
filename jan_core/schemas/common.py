"""Small things that the schemas of several endpoints share."""

from __future__ import annotations

from math import isfinite
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, Field, GetCoreSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError

from jan_core.schemas.base import Reply, Request, optional

T = TypeVar("T")


class NotNull:
    """Marks `X | None` as: may be left out (then it is None here), but a `null` in the JSON is refused."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        schema: Any = handler(source)
        inner: CoreSchema = schema["schema"]
        return inner


class FirstError:
    """Marks a list whose check ends at its first bad element (pydantic's own mark cannot stand in an alias)."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        schema: Any = handler(source)
        checked: CoreSchema = {**schema, "fail_fast": True}
        return checked


def _without_default(schema: dict[str, Any]) -> None:
    schema.pop("default", None)


def finite(value: dict[str, Any]) -> dict[str, Any]:
    """Refuse numbers such as 1e999, which JSON allows and which become infinite in Python."""
    todo: list[Any] = [value]
    while todo:
        node = todo.pop()
        if isinstance(node, dict):
            todo.extend(node.values())
        elif isinstance(node, list):
            todo.extend(node)
        elif isinstance(node, float) and not isfinite(node):
            raise PydanticCustomError("infinite", "an object whose numbers are finite")
    return value


Omittable = Annotated[T | None, NotNull(), Field(json_schema_extra=_without_default)]
"""A request field that may be left out and may not be null; write `= None` after it."""

Many = Annotated[list[T], FirstError()]
"""A list in a request. Only its first bad element is reported, so that a hostile list costs no memory for errors."""

MOST = 2048
"""Messages of a request, and parts of a message: templates take more than proportionally longer for more of them."""

Text = Annotated[str, Field(min_length=1)]
"""A string that is not empty."""

JsonObject = Annotated[dict[str, Any], AfterValidator(finite)]
"""Any JSON object, such as a JSON schema, whose numbers are finite."""

Metadata = Annotated[
    dict[Annotated[str, Field(max_length=64)], Annotated[str, Field(max_length=512)]], Field(max_length=16)
]
"""Up to 16 pairs of strings that a client keeps with an object: keys up to 64 characters, values up to 512."""

Penalty = Annotated[float, Field(ge=-2, le=2)]
"""A penalty between -2 and 2; 0 changes nothing, more makes the penalised less likely."""

TokenCount = Annotated[int, Field(ge=1, le=2**31 - 1)]
"""A number of tokens that fits a C int."""

# Nine digits: more tokens than any vocabulary has, and always a C int.
TokenId = Annotated[str, Field(pattern="^[0-9]{1,9}$")]
"""A token's number in the model's vocabulary, as JSON needs it for a key."""

TokenNumber = Annotated[int, Field(ge=0, le=2**31 - 1)]
"""A token's number in the model's vocabulary, as it stands in a list."""

Seed = Annotated[int, Field(ge=-(2**63), le=2**63 - 1)]
"""A number of 64 bits that fixes what chance decides."""


def kind_of_texts(value: Any) -> str | None:
    """Which of the forms of one or several texts a value has, by its first element; None where it has none."""
    if isinstance(value, str):
        return "text"
    if not isinstance(value, list):
        return None
    first = value[0] if value else ""
    if isinstance(first, list):
        return "token_lists"
    return "tokens" if isinstance(first, int | float) else "texts"


class StreamOptions(Request):
    """What a stream carries besides the answer."""

    include_usage: Omittable[bool] = None
    """True: the last event before the end carries `usage`, and no choices."""
    include_obfuscation: Omittable[bool] = None
    """True: events carry random text in `obfuscation`, so that their length does not tell their content."""


class CompletionTokensDetails(Reply):
    """What the tokens of an answer were spent on."""

    accepted_prediction_tokens: int | None = optional()
    """Tokens of the request's `prediction` that the answer contains."""
    audio_tokens: int | None = optional()
    """Tokens of spoken output."""
    reasoning_tokens: int | None = optional()
    """Tokens the model thought with before its answer."""
    text_tokens: int | None = optional()
    """Tokens of written output."""
    rejected_prediction_tokens: int | None = optional()
    """Tokens of the request's `prediction` that the answer does not contain."""


class PromptTokensDetails(Reply):
    """What the tokens of a prompt consist of."""

    audio_tokens: int | None = optional()
    """Tokens of spoken input."""
    cached_tokens: int | None = optional()
    """Tokens that were not read again because the engine still knew them."""
    text_tokens: int | None = optional()
    """Tokens of written input."""
    image_tokens: int | None = optional()
    """Tokens that stand for images."""
    cache_write_tokens: int | None = optional()
    """Tokens that were put into the cache for later requests."""


class CompletionUsage(Reply):
    """How many tokens a request took."""

    completion_tokens: int
    """Tokens of the answer, of all choices together."""
    prompt_tokens: int
    """Tokens of the prompt, as the model's template renders it."""
    total_tokens: int
    """The sum of both."""
    completion_tokens_details: CompletionTokensDetails | None = optional()
    """The answer's tokens by kind, where the engine tells."""
    prompt_tokens_details: PromptTokensDetails | None = optional()
    """The prompt's tokens by kind, where the engine tells."""
