"""Handing what was read to the endpoints, where nothing else is there yet. What differs is never overwritten."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from jan_core.errors import InvalidRequest, NotFound
from jan_core.importing.report import Item
from jan_core.schemas.messages import Message, MessagesQuery

if TYPE_CHECKING:
    from jan_core.app import Jan
    from jan_core.importing.threads import Conversation
    from jan_core.schemas.assistants import Assistant
    from jan_core.schemas.threads import Thread

PROTECTED = "jan"
"""The assistant that is always there."""


async def store_assistant(jan: Jan, assistant: Assistant, item: Item, dry_run: bool) -> None:
    """Store an assistant, unless one of its id is here.

    `jan` is in every root: it takes the foreign one's place only where it sets nothing yet.

    Args:
        jan: the app.
        assistant: as it is to be stored.
        item: told of the outcome.
        dry_run: only look.

    Raises:
        JanError: the store fails.
    """
    try:
        here = await jan.assistants.retrieve(assistant.id)
    except NotFound:
        here = None
    except InvalidRequest as error:
        _skip(item, f"the one that is here cannot be compared: {error.message}")
        return
    if here is not None:
        other = _differing(here, assistant, {"model"} if not assistant.model else set())
        if not other:
            item.outcome = "present"
            return
        if assistant.id != PROTECTED:
            _skip(item, f"an assistant {assistant.id!r} is here already, and its {_differ(other)}")
            return
        if any(layer.values for layer in await jan.assistants.layers(PROTECTED)):
            item.outcome = "present"
            item.notes.append("it was left as it is here")
            return
    if not dry_run:
        await jan.assistants.put(assistant)
    item.outcome = "imported"


async def store_conversation(jan: Jan, found: Conversation, item: Item, dry_run: bool) -> None:
    """Store a thread with its messages, or the messages that came to it since it was stored.

    The messages are stored first, so that whoever sees the thread sees all of them.

    Args:
        jan: the app.
        found: as it is to be stored.
        item: told of the outcome.
        dry_run: only look.

    Raises:
        JanError: a store fails.
    """
    thread = found.thread
    try:
        here: Thread | None = await jan.threads.retrieve(thread.id)
    except NotFound:
        here = None
    except InvalidRequest as error:
        _skip(item, f"the one that is here cannot be compared: {error.message}")
        return
    if here is None:
        if thread.id in await jan.threads.deleted():
            _skip(item, "a thread of this id was deleted here, and is being removed")
            return
        await _put(jan, found.messages, item, dry_run)
        if not dry_run:
            await jan.threads.put(thread)
        item.outcome = "imported"
        return
    other = _differing(here, thread, set())
    if other:
        item.notes.append(f"the thread is here already, and its {_differ(other)}: left as it is here")
    await _go_on(jan, found.messages, item, dry_run, same=not other)


async def _go_on(jan: Jan, messages: Sequence[Message], item: Item, dry_run: bool, same: bool) -> None:
    """Bring what came to a thread since it was stored here."""
    known = {message.id: message for message in await _all(jan, item.id)}
    fresh = [message for message in messages if message.id not in known]
    shared = len(messages) - len(fresh)
    changed = [m.id for m in messages if m.id in known and _differing(known[m.id], m, {"metadata"})]
    if changed:
        item.notes.append("messages differ from those here: left as they are here")
    if not fresh:
        item.outcome = "present"
    elif known and not shared and not same:
        _skip(item, f"another thread {item.id!r} is here")
    elif len(known) > shared or any(message.id in known for message in messages[shared:]):
        _skip(item, f"the thread went on here: {len(fresh)} more would come between others, or after them")
    else:
        await _put(jan, fresh, item, dry_run)
        item.outcome = "imported"


async def _put(jan: Jan, messages: Sequence[Message], item: Item, dry_run: bool) -> None:
    for message in messages:
        if not dry_run:
            await jan.messages.put(message)
        item.messages += 1


async def _all(jan: Jan, thread_id: str) -> list[Message]:
    """The messages that are here, the oldest first."""
    found: list[Message] = []
    after: str | None = None
    while True:
        page = await jan.messages.list(thread_id, MessagesQuery(limit=100, order="asc", after=after))
        found += page.data
        if not page.has_more or page.last_id is None:
            return found
        after = page.last_id


def _differing(here: Any, there: Any, beside: set[str]) -> list[str]:
    """The fields in which two objects differ, of those that the foreign one sets."""
    first, second = here.model_dump(mode="json"), there.model_dump(mode="json")
    return [name for name, value in second.items() if name not in beside and value and first.get(name) != value]


def _skip(item: Item, why: str) -> None:
    item.outcome, item.why = "skipped", why


def _differ(names: Sequence[str]) -> str:
    return f"{', '.join(names)} differ{'s' if len(names) == 1 else ''}"
