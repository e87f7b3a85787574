"""What is looked at, while it happens, of objects that are stored: assistants, threads, messages, models."""

from __future__ import annotations

import itertools
import time
from typing import Any, ClassVar

from jan_core.testing.contract.case import holds, same
from jan_core.testing.contract.watch import Watch


class WriteWatch(Watch):
    """Looks at the answer to a creation or a change: the pairs are those that were given, and the time is none to come.

    Attributes:
        prefix: what ids begin with that are made here.
    """

    prefix: ClassVar[str] = ""

    def is_id(self, id: str) -> None:
        """Look at the id of what is made."""
        holds(id.startswith(self.prefix), f"the id {id!r} does not begin with {self.prefix}")

    def answered(self, reply: Any) -> None:
        """See `Watch`."""
        super().answered(reply)
        body = self.arguments["body"]
        made = not (self.operation.path or "").endswith("}")
        if "metadata" in body.model_fields_set or made:
            same(f"the metadata of {reply.id!r}", reply.metadata, body.metadata or {})
        if made:
            self.is_id(reply.id)
            holds(reply.created_at <= time.time() + 1, f"it was made at {reply.created_at}, which is to come")


class ThreadWatch(WriteWatch):
    """Looks at `threads.create` and `threads.update`."""

    def is_id(self, id: str) -> None:
        """See `WriteWatch`. The id of a thread begins with that of its first assistant, as far as there is room."""
        assistants = self.arguments["body"].assistants
        first = assistants[0].assistant_id if assistants else "jan"
        begins = id.rsplit("-", 2)[0]
        holds(begins and first.startswith(begins), f"the id {id!r} does not begin with {first}")


class ListByTimeWatch(Watch):
    """Looks at a page of objects that are listed by `(created_at, id)`."""

    def page(self, page: Any, data: list[Any]) -> None:
        """See `Watch`."""
        super().page(page, data)
        places = [(one.created_at, one.id) for one in data]
        newest = self.arguments["query"].order == "desc"
        for one, other in itertools.pairwise(places):
            holds(one > other if newest else one < other, f"{other} is listed behind {one}, which is the wrong order")


class ThreadsWatch(ListByTimeWatch):
    """Looks at `threads.list`: besides the order, whether each thread is one that was asked for."""

    def page(self, page: Any, data: list[Any]) -> None:
        """See `Watch`."""
        super().page(page, data)
        query = self.arguments["query"]
        pairs = (query.metadata or {}).items()
        for one in data:
            holds(pairs <= one.metadata.items(), f"{one.id!r} does not have the metadata that was asked for")
            taking_part = [who.assistant_id for who in one.assistants or ()]
            asked = query.assistant_id
            holds(asked is None or asked in taking_part, f"the assistant {asked!r} takes no part in {one.id!r}")


class MessageWatch(WriteWatch):
    """Looks at `messages.create` and `messages.update`."""

    prefix: ClassVar[str] = "msg_"


class MessagesWatch(Watch):
    """Looks at `messages.list`: whether each message is one that was asked for."""

    def page(self, page: Any, data: list[Any]) -> None:
        """See `Watch`."""
        super().page(page, data)
        run = self.arguments["query"].run_id
        for one in data:
            holds(
                run is None or one.run_id == run, f"{one.id!r} is of the run {one.run_id!r}, and {run!r} was asked for"
            )


class AssistantWatch(WriteWatch):
    """Looks at `assistants.create` and `assistants.update`."""

    prefix: ClassVar[str] = "asst_"


class ModelsWatch(Watch):
    """Looks at `models.list`: ordered by id, each once."""

    def answered(self, reply: Any) -> None:
        """See `Watch`."""
        super().answered(reply)
        ids = [one.id for one in reply.data]
        same("the ids of the models", ids, sorted(set(ids)))
