"""What tests know of the real model's vocabulary."""

from __future__ import annotations

from typing import Any

ENDS = (0, 2, 4)
"""The tokens that end an answer: `<|endoftext|>`, `<|im_end|>` and, as llama.cpp sees it, `<reponame>`."""

GO_ON: dict[str, Any] = {"logit_bias": {str(token): -100 for token in ENDS}}
"""Fields of a request whose answer is to have as many tokens as it may, whatever is drawn."""

ENGINE_GO_ON: dict[str, Any] = {"logit_bias": [[token, -100] for token in ENDS]}
"""The same in the engine's own format."""
