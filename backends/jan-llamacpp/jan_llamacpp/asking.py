"""What a module asks of a model besides the answer itself: what it is, and its tokens."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from jan_core.errors import EngineError, InvalidRequest
from jan_llamacpp.sampling import engine_error

if TYPE_CHECKING:
    from jan_workers.loaded import LoadedModel

    from jan_core.app import Jan
    from jan_core.schemas.models import ModelLocation
    from jan_llamacpp.backend import LlamaCpp

_described: WeakKeyDictionary[LoadedModel, dict[str, Any]] = WeakKeyDictionary()
"""What is known of models while they are in use; a model whose file changed is another one."""


class Asking:
    """One model, as one request asks it.

    Args:
        engine: the loaded models.
        location: the model.
        purpose: what its worker is for; see `jan_llamacpp.parameters`.

    Raises:
        InvalidRequest: `model.json` has a bad setting.
        NotSupported: the model is not made for this purpose.
    """

    def __init__(self, engine: LlamaCpp, location: ModelLocation, purpose: str = "") -> None:
        self.engine = engine
        self.location = location
        self.purpose = purpose
        self._model = engine.model(location, purpose)

    @classmethod
    async def locate(cls, jan: Jan, engine: LlamaCpp, model: str, purpose: str = "") -> Asking:
        """Find a model by its id.

        Raises:
            ModelNotFound: there is none.
            InvalidRequest: it is for another engine; or as the class.
        """
        location = await jan.models.locate(model)
        if location.engine not in (None, engine.engine):
            raise InvalidRequest(
                f"The model {model!r} is for the engine {location.engine!r}; here it is {engine.engine} that runs.",
                param="model",
                code="engine_not_available",
            )
        return cls(engine, location, purpose)

    @property
    def context(self) -> int:
        """Tokens that a request may have, prompt and answer together."""
        return self._model.context

    @property
    def slots(self) -> int:
        """Answers that the model computes at once."""
        return self._model.slots.count

    async def described(self) -> dict[str, Any]:
        """What the engine knows of the model: see the task `describe` of the worker."""
        found = _described.get(self._model)
        if found is None:
            found = _described[self._model] = await self.once("describe", {})
        return found

    async def tokens(self, text: str, special: bool = True) -> list[int]:
        """Cut a text into tokens.

        Args:
            text: the text.
            special: what looks like a special token is one, and what belongs to the beginning of a text is added.
        """
        told = await self.once("tokenize", {"content": text, "add_special": special, "parse_special": special})
        return list(told["tokens"])

    async def pieces(self, text: str, special: bool) -> list[dict[str, Any]]:
        """As `tokens`, with the `piece` of the text that each `id` stands for: a string, or a list of bytes."""
        body = {"content": text, "add_special": special, "parse_special": special, "with_pieces": True}
        return list((await self.once("tokenize", body))["tokens"])

    async def text(self, tokens: list[int]) -> str:
        """The text of tokens, all of them of the vocabulary."""
        return str((await self.once("detokenize", {"tokens": tokens}))["content"])

    async def once(self, task: str, body: dict[str, Any], slots: int = 1) -> dict[str, Any]:
        """Have the worker do a task that has one piece for an answer.

        Raises:
            Busy, Unavailable, InvalidRequest, EngineError: see `LlamaCpp.generate`; also for an engine's refusal.
        """
        pieces = self.engine.generate(self.location, task, body, slots=slots, purpose=self.purpose)
        async with aclosing(pieces) as events:  # type: ignore[type-var]
            async for piece in events:
                if "error" in piece:
                    raise engine_error(piece["error"], "The text is", "")
                if piece:
                    return dict(piece)
        raise EngineError("The engine ended its answer without one.", code="incomplete_answer")
