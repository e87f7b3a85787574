"""The grammar of a run's events: one function, `story`, for every way in which events can be come by.

Also what holds of runs, steps and messages wherever they stand: `run_stands`, `step_stands`, `message_stands`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from jan_core.testing.contract.case import Broken, holds, same

LEGAL: Mapping[str, frozenset[str]] = {
    "queued": frozenset({"in_progress", "cancelling", "failed", "expired"}),
    "in_progress": frozenset({"requires_action", "cancelling", "completed", "incomplete", "failed", "expired"}),
    "requires_action": frozenset({"queued", "cancelling", "expired"}),
    "cancelling": frozenset({"cancelled"}),
}
"""From each status of a run, those that may follow. The others are ends."""
ENDS = frozenset({"cancelled", "failed", "completed", "incomplete", "expired"})
_STAMPS = {
    "cancelled": "cancelled_at",
    "failed": "failed_at",
    "completed": "completed_at",
    "incomplete": "completed_at",
}
_STEP_STAMPS = {
    "cancelled": "cancelled_at",
    "failed": "failed_at",
    "completed": "completed_at",
    "expired": "expired_at",
}
_STEP_ENDS = {**{one: one for one in _STEP_STAMPS}, "incomplete": "completed"}
_CHANGING = {
    "status",
    "required_action",
    "last_error",
    "expires_at",
    "started_at",
    "cancelled_at",
    "failed_at",
    "completed_at",
    "incomplete_details",
    "usage",
    "metadata",
}


def run_stands(run: Mapping[str, Any]) -> None:
    """Look whether all fields of a run go with its status.

    Raises:
        Broken: one does not; it is told.
    """
    status, what = run["status"], f"of a run that is {run['status']}"
    ended = status in ENDS
    for name in sorted({*_STAMPS.values()}):
        same(f"whether there is a {name}, {what}", run[name] is not None, _STAMPS.get(status) == name)
    for name, wanted in (
        ("required_action", status == "requires_action"),
        ("last_error", status == "failed"),
        ("incomplete_details", status == "incomplete"),
        ("usage", ended),
        ("expires_at", not ended or status == "expired"),
    ):
        same(f"whether there is a {name}, {what}", run[name] is not None, wanted)
    if status in ("in_progress", "requires_action", "completed", "incomplete"):
        holds(run["started_at"] is not None, f"there is no started_at {what}")
    moments = [run["created_at"], run["started_at"], *(run[name] for name in ("completed_at", "failed_at"))]
    there = [one for one in moments if one is not None]
    same(f"the order of the times {what}", there, sorted(there))
    if run["usage"] is not None:
        _adds_up(run["usage"], what)


def step_stands(step: Mapping[str, Any]) -> None:
    """Look whether all fields of a step go with its status.

    Raises:
        Broken: one does not; it is told.
    """
    status, what = step["status"], f"of a step that is {step['status']}"
    for name in sorted({*_STEP_STAMPS.values()}):
        same(f"whether there is a {name}, {what}", step[name] is not None, _STEP_STAMPS.get(status) == name)
    same(f"whether there is a last_error, {what}", step["last_error"] is not None, status == "failed")
    same(f"whether there is a usage, {what}", step["usage"] is not None, status != "in_progress")
    same(f"the type, and that of the details, {what}", step["step_details"]["type"], step["type"])
    same(f"the metadata {what}", step["metadata"], {})
    if step["usage"] is not None:
        _adds_up(step["usage"], what)


def message_stands(message: Mapping[str, Any]) -> None:
    """Look whether all fields of a run's message go with its status.

    Raises:
        Broken: one does not; it is told.
    """
    status, what = message["status"], f"of a message that is {message['status']}"
    for name, wanted in (("completed_at", "completed"), ("incomplete_at", "incomplete")):
        same(f"whether there is a {name}, {what}", message[name] is not None, status == wanted)
    told = message["incomplete_details"] is not None
    same(f"whether there are incomplete_details, {what}", told, status == "incomplete")
    same(f"who says it, {what}", message["role"], "assistant")


def _adds_up(usage: Mapping[str, int], what: str) -> None:
    same(f"the total of the usage {what}", usage["total_tokens"], usage["prompt_tokens"] + usage["completion_tokens"])


@dataclass
class Story:
    """What the events of a stream tell.

    Attributes:
        names: the events' names, in order.
        run: the run, as the last event of it has it.
        thread: the thread that was made, where one was.
        steps: the steps, as their last events have them, by id.
        messages: the messages, likewise.
        pieces: the texts of the deltas, by the message's id.
        statuses: the statuses of the run, in order.
    """

    names: list[str] = field(default_factory=list)
    run: dict[str, Any] = field(default_factory=dict)
    thread: dict[str, Any] | None = None
    steps: dict[str, dict[str, Any]] = field(default_factory=dict)
    messages: dict[str, dict[str, Any]] = field(default_factory=dict)
    pieces: dict[str, list[str]] = field(default_factory=dict)
    statuses: list[str] = field(default_factory=list)


def story(events: Iterable[Any], *, thread: bool = False, resumed: bool = False, whole: bool = True) -> Story:
    """Look whether events follow the grammar, and return what they tell.

        [thread.created]  thread.run.created  thread.run.queued  thread.run.in_progress
        ( thread.run.step.created  thread.run.step.in_progress
          ( thread.message.created  thread.message.in_progress  thread.message.delta*
            thread.message.completed | .incomplete
          | thread.run.step.delta* )
          thread.run.step.completed | .failed | .cancelled | .expired )*
        thread.run.completed | .requires_action | .incomplete | .failed | .cancelled | .expired

    `thread.run.cancelling` may come anywhere before the end. Before `requires_action` the last step stays open, and a
    stream that goes on from there begins with its `completed`, then `thread.run.queued`. Deltas add up to the object
    of the event that ends what they belong to. The output of a tool that the server carries out itself is one of them.

    Args:
        events: in order; each an object with `event` and `data`, or a pair of the name and the data as JSON has it.
            OpenAI's client goes on changing what earlier events carried: make pairs of its events as they come, with
            `event.data.to_dict(mode="json")`.
        thread: whether the stream begins with `thread.created`.
        resumed: whether it goes on after outputs of tools.
        whole: False where the listener left: there may be no end.

    Raises:
        Broken: an event may not come where it does, or is not what those before it say; it is told which.
    """
    teller = Teller(resumed)
    for event in events:
        teller.hear(event, thread=thread)
    if whole:
        last = teller.story.names[-1] if teller.story.names else "nothing"
        holds(teller.over, f"the events end with {last}, and not with the end of the run or with requires_action")
    return teller.story


class Teller:
    """Hears one event after the other, and holds them against the grammar of `story`.

    Attributes:
        story: what they told so far.
        over: whether they came to their end.
    """

    def __init__(self, resumed: bool) -> None:
        self.story = Story()
        self.over = False
        self._resumed = resumed
        self._status = "requires_action" if resumed else ""
        self._step: dict[str, Any] | None = None
        self._message: dict[str, Any] | None = None
        self._parts: list[tuple[str, str]] = []
        self._calls: list[dict[str, Any]] = []
        self._begun = ""

    def hear(self, event: Any, *, thread: bool = False) -> None:
        """The next event; see `story`.

        Raises:
            Broken: it may not come here.
        """
        name, data = event if isinstance(event, tuple) else (event.event, event.data)
        data = data.model_dump(mode="json") if isinstance(data, BaseModel) else data
        try:
            self._next(name, data, thread)
        except Broken as error:
            names = self.story.names
            told = " ".join(one.removeprefix("thread.") for one in names[-12:])
            raise Broken(f"event {len(names)}, {name}, after {told or 'nothing'}: {error}") from None

    def _next(self, name: str, data: dict[str, Any], thread: bool) -> None:
        holds(not self.over, "nothing may follow")
        if thread and not self.story.names:
            same("the first event", name, "thread.created")
            self.story.thread = data
        elif self._begun and name != "thread.run.cancelling":
            same("the event after one that creates", name, f"{self._begun}.in_progress")
            self._object(name, data)
        else:
            self._object(name, data)
        self.story.names.append(name)

    def _object(self, name: str, data: dict[str, Any]) -> None:
        kind, _, what = name.rpartition(".")
        known = {
            "thread.run": ("thread.run", self._run),
            "thread.run.step": ("thread.run.step", self._of_step),
            "thread.message": ("thread.message", self._of_message),
        }
        holds(kind in known, "there is no such event here")
        object, hear = known[kind]
        same("the object of the data", data["object"], f"{object}.delta" if what == "delta" else object)
        hear(what, data)

    # The run.

    def _run(self, what: str, run: dict[str, Any]) -> None:
        status = "queued" if what == "created" else what
        same("the status in the data", run["status"], status)
        run_stands(run)
        if what == "created":
            same("what is known before the run is created", self._status, "")
            self._status = "created"
        elif self._status == "created":
            same("the first status", what, "queued")
            self._status = what
        else:
            holds(what in LEGAL.get(self._status, ()), f"a run that is {self._status or 'unknown'} becomes {what}")
            self._status = what
        before = self.story.run
        for name in before.keys() - _CHANGING:
            same(f"the run's {name}", run.get(name), before[name])
        self.story.run = run
        if what != "created":
            self.story.statuses.append(what)
        if what == "requires_action":
            self._waits(run)
        if what in ENDS or what == "requires_action":
            holds(self._message is None, "a message has not ended")
            holds(self._step is None or what == "requires_action", "a step has not ended")
            self.over = True

    def _waits(self, run: dict[str, Any]) -> None:
        holds(self._step is not None and self._step["type"] == "tool_calls", "no step asks for calls")
        assert self._step is not None
        asked = run["required_action"]["submit_tool_outputs"]["tool_calls"]
        left = [one for one in self._calls if one["function"]["output"] is None]
        wanted = [{**one, "function": _without_output(one["function"])} for one in left]
        same("the calls that the run waits for, against those of the deltas", asked, wanted)

    # Steps.

    def _of_step(self, what: str, step: dict[str, Any]) -> None:
        if what == "delta":
            self._step_delta(step)
            return
        same("the status in the data", step["status"], "in_progress" if what == "created" else what)
        step_stands(step)
        if self.story.run:
            for name in ("thread_id", "assistant_id"):
                same(f"the step's {name}", step[name], self.story.run[name])
            same("the step's run_id", step["run_id"], self.story.run["id"])
        if what == "created":
            same("the status of the run", self._status, "in_progress")
            holds(self._step is None, "another step has not ended")
            holds(step["id"] not in self.story.steps, "this step was there before")
            self._step, self._calls, self._begun = step, [], "thread.run.step"
        elif what == "in_progress":
            same("what was created before", self._begun, "thread.run.step")
            same("the step", step, self._step)
            self._begun = ""
        else:
            self._step_ends(step)
        self.story.steps[step["id"]] = step

    def _step_ends(self, step: dict[str, Any]) -> None:
        if self._resumed and not self.story.names:
            same("the first end after outputs", (step["type"], step["status"]), ("tool_calls", "completed"))
            missing = [one["id"] for one in step["step_details"]["tool_calls"] if one["function"]["output"] is None]
            same("the calls without an output", missing, [])
            return
        holds(self._step is not None, "no step is going on")
        assert self._step is not None
        same("which step ends", step["id"], self._step["id"])
        holds(self._message is None, "its message has not ended")
        for name in ("created_at", "type"):
            same(f"the step's {name}", step[name], self._step[name])
        if step["type"] == "tool_calls":
            same("the calls, against the deltas", step["step_details"]["tool_calls"], self._calls)
        else:
            same("the details", step["step_details"], self._step["step_details"])
            said = step["step_details"]["message_creation"]["message_id"]
            holds(said in self.story.messages, "its message was never told")
        self._step = None

    def _step_delta(self, told: dict[str, Any]) -> None:
        holds(self._step is not None, "no step is going on")
        assert self._step is not None
        same("the step of the delta", told["id"], self._step["id"])
        details = told["delta"]["step_details"]
        same("the type of the delta", details["type"], self._step["type"])
        for one in details.get("tool_calls") or ():
            index = one["index"]
            holds(index <= len(self._calls), f"the call {index} comes before the call {len(self._calls)}")
            function = one.get("function") or {}
            if index == len(self._calls):
                holds(one.get("id") and function.get("name"), "a call begins without an id or a name")
                holds(one["id"] not in {call["id"] for call in self._calls}, "this call was there before")
                body = {"name": function["name"], "arguments": "", "output": None}
                self._calls.append({"id": one["id"], "type": one["type"], "function": body})
            else:
                same("the id and the name, told again", (one.get("id"), function.get("name")), (None, None))
            self._calls[index]["function"]["arguments"] += function.get("arguments") or ""
            if function.get("output") is not None:  # of a tool that the server carries out itself
                same("an output, told again", self._calls[index]["function"]["output"], None)
                self._calls[index]["function"]["output"] = function["output"]

    # Messages.

    def _of_message(self, what: str, message: dict[str, Any]) -> None:
        if what == "delta":
            self._message_delta(message)
            return
        same("the status in the data", message["status"], "in_progress" if what == "created" else what)
        message_stands(message)
        if self.story.run:
            wanted = {name: self.story.run[name] for name in ("thread_id", "assistant_id")}
            same("whose message it is", {name: message[name] for name in wanted}, wanted)
            same("the message's run_id", message["run_id"], self.story.run["id"])
        if what == "created":
            holds(self._step is not None and self._step["type"] == "message_creation", "no step says something")
            assert self._step is not None
            creation = self._step["step_details"]["message_creation"]
            same("the message of the step", creation["message_id"], message["id"])
            holds(self._message is None, "another message has not ended")
            holds(message["id"] not in self.story.messages, "this message was there before")
            same("the content of a message that begins", message["content"], [])
            self._message, self._begun, self._parts = message, "thread.message", []
            self.story.pieces[message["id"]] = []
        elif what == "in_progress":
            same("what was created before", self._begun, "thread.message")
            same("the message", message, self._message)
            self._begun = ""
        else:
            holds(self._message is not None, "no message is going on")
            assert self._message is not None
            same("which message ends", message["id"], self._message["id"])
            parts = [(part["type"], _text_of(part)) for part in message["content"] if _text_of(part)]
            same("the parts, against the deltas", parts, [part for part in self._parts if part[1]])
            self._message = None
        self.story.messages[message["id"]] = message

    def _message_delta(self, told: dict[str, Any]) -> None:
        holds(self._message is not None, "no message is going on")
        assert self._message is not None
        same("the message of the delta", told["id"], self._message["id"])
        for part in told["delta"].get("content") or ():
            index, kind, text = part["index"], part["type"], _text_of(part)
            if index == len(self._parts):
                self._parts.append((kind, ""))
            same("the part that the delta is of", (index, kind), (len(self._parts) - 1, self._parts[-1][0]))
            self._parts[-1] = (kind, self._parts[-1][1] + text)
            if kind == "text":
                self.story.pieces[told["id"]].append(text)


def _text_of(part: dict[str, Any]) -> str:
    return str(part["refusal"] if part["type"] == "refusal" else part["text"]["value"])


def _without_output(function: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in function.items() if name != "output"}
