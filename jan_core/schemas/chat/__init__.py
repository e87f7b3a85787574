"""The objects of `/v1/chat/completions`."""

from __future__ import annotations

from jan_core.schemas.chat.messages import RequestMessage
from jan_core.schemas.chat.reply import (
    CalledFunction,
    ChatCompletion,
    ChatCompletionChunk,
    Choice,
    ChunkChoice,
    CustomCall,
    Delta,
    FinishReason,
    FunctionCall,
    FunctionDelta,
    Logprobs,
    ResponseMessage,
    TokenLogprob,
    ToolCall,
    ToolCallDelta,
    TopLogprob,
)
from jan_core.schemas.chat.request import ChatCompletionRequest
from jan_core.schemas.chat.stored import (
    ChatCompletionDeleted,
    ChatCompletionList,
    ChatCompletionMessageList,
    ChatCompletionMessagesQuery,
    ChatCompletionsQuery,
    ChatCompletionUpdate,
    StoredMessage,
)
from jan_core.schemas.common import CompletionUsage, StreamOptions

__all__ = [
    "CalledFunction",
    "ChatCompletion",
    "ChatCompletionChunk",
    "ChatCompletionDeleted",
    "ChatCompletionList",
    "ChatCompletionMessageList",
    "ChatCompletionMessagesQuery",
    "ChatCompletionRequest",
    "ChatCompletionUpdate",
    "ChatCompletionsQuery",
    "Choice",
    "ChunkChoice",
    "CompletionUsage",
    "CustomCall",
    "Delta",
    "FinishReason",
    "FunctionCall",
    "FunctionDelta",
    "Logprobs",
    "RequestMessage",
    "ResponseMessage",
    "StoredMessage",
    "StreamOptions",
    "TokenLogprob",
    "ToolCall",
    "ToolCallDelta",
    "TopLogprob",
]
