"""Everything that is measured, and the labels under which it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from jan_core.backend import Backend
from jan_metrics_prometheus.series import TOKENS, Counter, Histogram
from jan_metrics_prometheus.settings import Settings

if TYPE_CHECKING:
    from pydantic import BaseModel

    from jan_core.app import Jan

OTHER = "other"
"""Stands for every value of a label that does not get numbers of its own."""
REASONS = frozenset({"stop", "length", "tool_calls", "function_call", "content_filter"})
"""Why an answer may end, in the API's words."""
NO_REASON = "none"
"""Stands for the reason of answers that have none, such as embeddings."""
ABORTED = "abort"
"""Stands for the reason of answers whose caller went away, or which the server's stop ended."""
_NAMES = 1000
_ERRORS = 100


class Measured(Backend):
    """The numbers of one app. A backend, so that the plugin's hooks have it in common.

    Attributes:
        requests: HTTP requests by route template, method and status.
        durations: how long they took.
        finished: answers of models, by why they ended.
        failed: answers that ended with an error, by its code.
        read: tokens of prompts.
        written: tokens of answers.
        whole: time of a whole answer.
        first: time to the first token.
        between: time from one token to the next.
        prompts: tokens of a prompt.
        answers: tokens of an answer.
    """

    name: ClassVar[str] = "metrics-prometheus"
    settings_model: ClassVar[type[BaseModel]] = Settings

    def __init__(self, settings: Any, jan: Jan) -> None:
        super().__init__(settings, jan)
        model = ("model",)
        self.requests = Counter("http_requests", "HTTP requests that were answered.", ("route", "method", "status"))
        self.durations = Histogram(
            "http_request_duration_seconds", "Time from a request to the end of its answer.", ("route", "method")
        )
        self.finished = Counter(
            "request_success", "Answers of models, by why they ended.", ("model", "finished_reason")
        )
        self.failed = Counter("request_failure", "Answers of models that ended with an error.", ("model", "error"))
        self.read = Counter("prompt_tokens", "Tokens of prompts that were read.", model)
        self.written = Counter("generation_tokens", "Tokens that were written.", model)
        self.whole = Histogram("e2e_request_latency_seconds", "Time of a whole answer.", model)
        self.first = Histogram("time_to_first_token_seconds", "Time to the first token of a streamed answer.", model)
        self.between = Histogram("inter_token_latency_seconds", "Time between tokens of a streamed answer.", model)
        self.prompts = Histogram("request_prompt_tokens", "Tokens of a prompt.", model, TOKENS)
        self.answers = Histogram("request_generation_tokens", "Tokens of an answer.", model, TOKENS)
        self._ids: dict[str, str] = {}
        self._shown: set[str] = set()
        self._errors: set[str] = set()

    def counters(self) -> list[Counter]:
        """All that is counted."""
        return [self.requests, self.finished, self.failed, self.read, self.written]

    def histograms(self) -> list[Histogram]:
        """All whose spread is told."""
        return [self.durations, self.whole, self.first, self.between, self.prompts, self.answers]

    def model(self, name: str) -> str | None:
        """The label of a model by the name that a request gave it; None where it has to be looked up first."""
        return self._ids.get(name)

    async def look_up(self, name: str) -> str:
        """The label of a model: its own id where a model of this name is installed, else `other`.

        A name that no model has is not remembered, so that whatever clients send, there are as many labels as models.
        """
        if "models" not in self.jan.endpoints:
            return OTHER
        try:
            label = self.limited((await self.jan.models.locate(name)).id)
        except Exception:  # whatever it is, the operation that is measured meets and tells it
            return OTHER
        if len(self._ids) < _NAMES:
            self._ids[name] = label
        return label

    def limited(self, model: str) -> str:
        """The label of a model by its own id: `other` where there are too many already."""
        if model not in self._shown:
            if len(self._shown) >= self.settings.models:
                return OTHER
            self._shown.add(model)
        return model

    def error(self, code: str) -> str:
        """The label of an error's code."""
        if code not in self._errors:
            if len(self._errors) >= _ERRORS:
                return OTHER
            self._errors.add(code)
        return code
