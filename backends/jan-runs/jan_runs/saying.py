"""The message that a run is saying: its text piece by piece, and what is kept of it."""

from __future__ import annotations

from jan_core.ids import new_id, now
from jan_core.schemas.messages import AnnotatedText, IncompleteDetails, Message, RefusalPart, TextPart
from jan_core.schemas.runs import Run
from jan_runs import events
from jan_runs.feed import Feed


class Saying:
    """A message in the making.

    Args:
        run: whose message it is.
        feed: where its pieces go.
        message: the message as it is begun anew after a crash; None for a new one.
    """

    def __init__(self, run: Run, feed: Feed, message: Message | None = None) -> None:
        self._feed = feed
        self.begun = Message(
            id=message.id if message is not None else new_id("msg_"),
            created_at=message.created_at if message is not None else now(),
            thread_id=run.thread_id,
            status="in_progress",
            role="assistant",
            content=[],
            assistant_id=run.assistant_id,
            run_id=run.id,
            attachments=[],
        )
        """The message as it began, without content."""
        self._kinds: list[str] = []
        self._texts: list[list[str]] = []

    @property
    def id(self) -> str:
        """The message's id."""
        return self.begun.id

    def say(self, kind: str, text: str) -> None:
        """Say more.

        Args:
            kind: `text` or `refusal`.
            text: what follows.
        """
        if self._kinds and self._kinds[-1] == kind:
            self._texts[-1].append(text)
            self._feed.say(kind, self.id, len(self._kinds) - 1, text)
            return
        self._kinds.append(kind)
        self._texts.append([text])
        index = len(self._kinds) - 1
        delta = events.text_begun if kind == "text" else events.refusal_delta
        self._feed.publish(delta(self.id, index, text))

    def restore(self, message: Message) -> None:
        """Take up what was said of it before, without telling it again."""
        for part in message.content:
            if part.type == "text":
                self._kinds.append("text")
                self._texts.append([part.text.value])
            elif part.type == "refusal":
                self._kinds.append("refusal")
                self._texts.append([part.refusal])

    @property
    def text(self) -> str:
        """What was said so far, for the model to read."""
        return "".join(piece for pieces in self._texts for piece in pieces)

    def message(self) -> Message:
        """The message as it is now."""
        content = []
        for kind, pieces in zip(self._kinds, self._texts, strict=True):
            text = "".join(pieces)
            content.append(TextPart(text=AnnotatedText(value=text)) if kind == "text" else RefusalPart(refusal=text))
        return self.begun.model_copy(update={"content": content})


def ended(message: Message, reason: str | None = None) -> Message:
    """A message that was in progress, as it ended: `completed`, or `incomplete` for a reason."""
    if reason is None:
        return message.model_copy(update={"status": "completed", "completed_at": now()})
    details = IncompleteDetails.model_validate({"reason": reason})
    return message.model_copy(update={"status": "incomplete", "incomplete_at": now(), "incomplete_details": details})
