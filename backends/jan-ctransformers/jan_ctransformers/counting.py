"""The tokens of a request, out of what the worker tells with its pieces."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jan_core.schemas.common import CompletionUsage, PromptTokensDetails

if TYPE_CHECKING:
    from jan_core.call import Call


class Counting:
    """Counts. Each prompt counts once, with what was known of it when it was read first; the answers add up.

    Args:
        context: where the tokens are reported to while they come; None is nowhere.
    """

    def __init__(self, context: Call | None) -> None:
        self._context = context
        self._prompts: dict[int, tuple[int, int]] = {}
        self._written: dict[int, int] = {}

    def add(self, piece: dict[str, Any], index: int, prompt: int = 0) -> None:
        """Take a piece.

        Args:
            piece: as the worker sent it.
            index: which answer it is of, of all prompts.
            prompt: which prompt.
        """
        if "prompt_tokens" in piece:
            self._prompts.setdefault(prompt, (piece["prompt_tokens"], piece["cached_tokens"]))
        if "completion_tokens" in piece:
            self._written[index] = piece["completion_tokens"]
        if self._context is not None:
            self._context.prompt_tokens = sum(tokens for tokens, _ in self._prompts.values())
            self._context.completion_tokens = sum(self._written.values())

    def usage(self) -> CompletionUsage:
        """What has been counted so far."""
        read = sum(tokens for tokens, _ in self._prompts.values())
        cached = sum(cached for _, cached in self._prompts.values())
        written = sum(self._written.values())
        return CompletionUsage(
            prompt_tokens=read,
            completion_tokens=written,
            total_tokens=read + written,
            prompt_tokens_details=PromptTokensDetails(cached_tokens=cached),
        )
