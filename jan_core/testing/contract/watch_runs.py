"""What is looked at, while it happens, of runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from jan_core.endpoint import Operation
from jan_core.testing.contract.case import holds
from jan_core.testing.contract.run_grammar import Teller, run_stands, step_stands
from jan_core.testing.contract.watch import Watch
from jan_core.testing.contract.watch_objects import ListByTimeWatch, WriteWatch


class RunWatch(Watch):
    """Looks at one run: whether its fields go with its status."""

    def answered(self, reply: Any) -> None:
        """See `Watch`."""
        super().answered(reply)
        run_stands(reply.model_dump(mode="json"))


class RunWriteWatch(WriteWatch, RunWatch):
    """Looks at `runs.create` and `runs.update`."""

    prefix: ClassVar[str] = "run_"


class RunsWatch(ListByTimeWatch):
    """Looks at `runs.list`: besides the order, at each run."""

    def page(self, page: Any, data: list[Any]) -> None:
        """See `Watch`."""
        super().page(page, data)
        for one in data:
            run_stands(one.model_dump(mode="json"))


class StepsWatch(Watch):
    """Looks at the steps of a run."""

    def page(self, page: Any, data: list[Any]) -> None:
        """See `Watch`."""
        super().page(page, data)
        for one in data:
            step_stands(one.model_dump(mode="json"))


class EventsWatch(Watch):
    """Looks at a stream: whether its events follow the grammar."""

    def __init__(self, operation: Operation, arguments: Mapping[str, Any]) -> None:
        super().__init__(operation, arguments)
        self._teller = Teller(resumed=operation.name == "submit_tool_outputs_stream")

    def event(self, event: Any) -> None:
        """See `Watch`."""
        super().event(event)
        self._teller.hear(event, thread=self.operation.name == "create_thread_stream")

    def ended(self) -> None:
        """See `Watch`."""
        super().ended()
        holds(self._teller.over, "the events end before the run does, or waits")


LIVE: Mapping[str, type[Watch]] = {
    "create": RunWriteWatch,
    "update": RunWriteWatch,
    "retrieve": RunWatch,
    "cancel": RunWatch,
    "submit_tool_outputs": RunWatch,
    "list": RunsWatch,
    "list_steps": StepsWatch,
    "create_stream": EventsWatch,
    "create_thread_stream": EventsWatch,
    "submit_tool_outputs_stream": EventsWatch,
}
"""What looks at which operation."""
