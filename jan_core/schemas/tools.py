"""What an assistant may use, and the form of its answers: the parts that assistants, threads, messages and runs share.

These parts stand in requests and in replies: strict as a request, and without the fields that were not given.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from jan_core.schemas.base import Request, optional
from jan_core.schemas.common import JsonObject, Many, Metadata, Omittable

FunctionName = Annotated[str, Field(pattern="^[a-zA-Z0-9_-]{1,64}$")]
"""1 to 64 ASCII letters, digits, `_` or `-`."""

ReasoningEffort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]
"""How long a model thinks before it answers."""


class CodeInterpreterTool(Request):
    """Lets the assistant run Python."""

    type: Literal["code_interpreter"]
    """Always `code_interpreter`."""


class RankingOptions(Request):
    """How findings in files are ranked."""

    ranker: Omittable[Literal["auto", "default_2024_08_21"]] = optional()
    """What ranks them; `auto` where it is left out."""
    score_threshold: Annotated[float, Field(ge=0, le=1)]
    """Findings below this score are left out."""


class FileSearch(Request):
    """How files are searched."""

    max_num_results: Omittable[Annotated[int, Field(ge=1, le=50)]] = optional()
    """The most findings to use."""
    ranking_options: Omittable[RankingOptions] = optional()
    """How findings are ranked."""


class FileSearchTool(Request):
    """Lets the assistant search files."""

    type: Literal["file_search"]
    """Always `file_search`."""
    file_search: Omittable[FileSearch] = optional()
    """How files are searched."""


class FileSearchMark(Request):
    """Says that a file is for searching."""

    type: Literal["file_search"]
    """Always `file_search`."""


class AssistantFunction(Request):
    """A function that the assistant may ask for."""

    name: FunctionName
    """What the assistant calls it by."""
    description: Omittable[str] = optional()
    """What it does, for the model to read."""
    parameters: Omittable[JsonObject] = optional()
    """The JSON schema of its arguments; left out, it takes none."""
    strict: bool | None = optional()
    """True: the arguments are made to follow the schema exactly."""


class AssistantFunctionTool(Request):
    """A tool that is a function of the client."""

    type: Literal["function"]
    """Always `function`."""
    function: AssistantFunction
    """The function."""


AssistantTool = Annotated[CodeInterpreterTool | FileSearchTool | AssistantFunctionTool, Field(discriminator="type")]
"""A tool of an assistant, told apart by `type`."""

AttachmentTool = Annotated[CodeInterpreterTool | FileSearchMark, Field(discriminator="type")]
"""A tool that an attached file is for."""

FileIds = Annotated[list[str], Field(max_length=20)]
"""Up to 20 ids of files."""

VectorStoreIds = Annotated[list[str], Field(max_length=1)]
"""The id of one vector store, or none."""


class CodeInterpreterResources(Request):
    """What `code_interpreter` may use."""

    file_ids: Omittable[FileIds] = optional()
    """The files that the code may read."""


class FileSearchResources(Request):
    """What `file_search` may use."""

    vector_store_ids: Omittable[VectorStoreIds] = optional()
    """The vector store that is searched."""


class ToolResources(Request):
    """What the tools may use, by kind of tool."""

    code_interpreter: Omittable[CodeInterpreterResources] = optional()
    """For `code_interpreter`."""
    file_search: Omittable[FileSearchResources] = optional()
    """For `file_search`."""


class AutoChunking(Request):
    """Files are split as the server sees fit."""

    type: Literal["auto"]
    """Always `auto`."""


class ChunkSizes(Request):
    """How large the pieces are that files are split into."""

    max_chunk_size_tokens: Annotated[int, Field(ge=100, le=4096)]
    """The most tokens of a piece."""
    chunk_overlap_tokens: Annotated[int, Field(ge=0, le=2048)]
    """Tokens that a piece shares with the next; at most half of `max_chunk_size_tokens`."""


class StaticChunking(Request):
    """Files are split into pieces of given sizes."""

    type: Literal["static"]
    """Always `static`."""
    static: ChunkSizes
    """The sizes."""


class NewVectorStore(Request):
    """A vector store to make, and the files in it."""

    file_ids: Omittable[Annotated[list[str], Field(max_length=100_000_000)]] = optional()
    """The files to put in."""
    chunking_strategy: Omittable[Annotated[AutoChunking | StaticChunking, Field(discriminator="type")]] = optional()
    """How files are split; `auto` where it is left out."""
    metadata: Metadata | None = optional()
    """Pairs that are kept with the vector store."""


class NewFileSearchResources(Request):
    """What `file_search` may use: a vector store that is there, or one to make."""

    vector_store_ids: Omittable[VectorStoreIds] = optional()
    """The vector store that is searched."""
    vector_stores: Omittable[Annotated[list[NewVectorStore], Field(max_length=1)]] = optional()
    """A vector store to make and to search. Not together with `vector_store_ids`."""

    @model_validator(mode="after")
    def _check(self) -> NewFileSearchResources:
        if self.vector_store_ids is not None and self.vector_stores is not None:
            raise PydanticCustomError("two_stores", "either vector_store_ids or vector_stores, not both")
        return self


class NewToolResources(Request):
    """What the tools of a new object may use, by kind of tool."""

    code_interpreter: Omittable[CodeInterpreterResources] = optional()
    """For `code_interpreter`."""
    file_search: Omittable[NewFileSearchResources] = optional()
    """For `file_search`."""

    def stored(self) -> ToolResources:
        """What is kept of it.

        Raises:
            NotSupported: it asks for a vector store to be made.
        """
        from jan_core.errors import NotSupported

        search = self.file_search
        if search is not None and search.vector_stores:
            raise NotSupported(
                "Making a vector store together with an object is not supported; make it first, and give its id in "
                "vector_store_ids.",
                param="tool_resources.file_search.vector_stores",
            )
        given = self.model_dump(mode="json", exclude_unset=True)
        given.get("file_search", {}).pop("vector_stores", None)
        return ToolResources.model_validate(given)


class TextResponse(Request):
    """The answer is plain text."""

    type: Literal["text"]
    """Always `text`."""


class JsonObjectResponse(Request):
    """The answer is some JSON object."""

    type: Literal["json_object"]
    """Always `json_object`."""


class ResponseSchema(Request):
    """The schema that answers follow."""

    model_config = ConfigDict(serialize_by_alias=True)

    name: FunctionName
    """A name for it."""
    description: Omittable[str] = optional()
    """What it is for, for the model to read."""
    # `schema` itself is a method of every pydantic model.
    schema_: Omittable[JsonObject] = optional(alias="schema")
    """The JSON schema; `schema` in JSON."""
    strict: bool | None = optional()
    """True: the answer is made to follow the schema exactly."""


class JsonSchemaResponse(Request):
    """The answer is JSON that follows a schema."""

    type: Literal["json_schema"]
    """Always `json_schema`."""
    json_schema: ResponseSchema
    """The schema."""


AssistantResponseFormat = (
    Literal["auto"] | Annotated[TextResponse | JsonObjectResponse | JsonSchemaResponse, Field(discriminator="type")]
)
"""The form of the answers: `auto` leaves it to the model; else text, a JSON object, or JSON that follows a schema."""

Tools = Annotated[Many[AssistantTool], Field(max_length=128)]
"""Up to 128 tools."""
