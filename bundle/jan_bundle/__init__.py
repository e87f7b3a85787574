"""What `pip install jan` chooses: the default module of each endpoint.

The kernel knows no module, so the defaults come from an installed bundle, found by the entry point `jan.bundles`.
A bundle only names; it imports nothing, so reading it costs nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

#: Endpoint name to the chosen module's name, or to a list of names where the model decides which of them answers.
#: In force for an endpoint only while jan.toml has no line for it under `[endpoints]`.
ENDPOINTS: Final[Mapping[str, str | list[str]]] = MappingProxyType(
    {
        "assistants": "assistants-json",
        "chat": ["chat-llamacpp"],
        "completions": ["completions-llamacpp"],
        "embeddings": ["embeddings-llamacpp"],
        "messages": "messages-json",
        "models": "models-json",
        "runs": "runs-json",
        "threads": "threads-json",
    }
)
