"""openai-python's `beta.threads.runs` and its helpers against a server, as their users write it."""

from __future__ import annotations

import itertools
import json
import time
from typing import Any

import openai
from openai import AssistantEventHandler
from told import base_url, model, tell
from typing_extensions import override

client = openai.OpenAI(base_url=base_url(), api_key="none", max_retries=0, timeout=120)
assistants, threads = client.beta.assistants, client.beta.threads
runs = threads.runs
WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {
            "type": "object",
            "properties": {"place": {"enum": ["Ulm"]}},
            "required": ["place"],
            "additionalProperties": False,
        },
    },
}
CHOICE: Any = {"type": "function", "function": {"name": "weather"}}
LONG: Any = {"role": "user", "content": "Tell a long story about a cat, and go on for many pages."}
QUESTION: Any = {"role": "user", "content": "Say hello."}


class Heard(AssistantEventHandler):
    def __init__(self) -> None:
        super().__init__()
        self.events: list[str] = []
        self.text = ""

    @override
    def on_event(self, event: Any) -> None:
        self.events.append(event.event)

    @override
    def on_text_delta(self, delta: Any, snapshot: Any) -> None:
        self.text += delta.value or ""


def answer(thread: str) -> dict[str, Any]:
    newest = threads.messages.list(thread, limit=1).data[0]
    return {"role": newest.role, "text": newest.content[0].text.value, "run": newest.run_id, "status": newest.status}


def told(run: Any) -> dict[str, Any]:
    return {"id": run.id, "status": run.status, "model": run.model, "usage": run.usage is not None}


def polled() -> dict[str, Any]:
    made = assistants.create(model=model(), instructions="Be short.")
    on = threads.create(messages=[QUESTION]).id
    run = runs.create_and_poll(thread_id=on, assistant_id=made.id, poll_interval_ms=50)
    steps = [one.model_dump() for one in runs.steps.list(run.id, thread_id=on)]
    step = runs.steps.retrieve(steps[0]["id"], thread_id=on, run_id=run.id)
    changed = runs.update(run.id, thread_id=on, metadata={"a": "b"})
    assistants.delete(made.id)
    return {
        "run": told(run),
        "answer": answer(on),
        "steps": [[one["type"], one["status"]] for one in steps],
        "same_step": step.model_dump() == steps[0],
        "metadata": changed.metadata,
        "listed": [one.id for one in runs.list(on)],
        "instructions": run.instructions,
    }


def polled_unhurried() -> dict[str, Any]:
    """Nobody says how long to wait between two looks: the server does."""
    looks: list[float] = []

    def seen(request: Any) -> None:
        if request.method == "GET":
            looks.append(time.monotonic())

    watched = openai.OpenAI(
        base_url=base_url(),
        api_key="none",
        max_retries=0,
        timeout=120,
        http_client=openai.DefaultHttpxClient(event_hooks={"request": [seen]}),
    )
    on = threads.create(messages=[LONG]).id
    run = watched.beta.threads.runs.create_and_poll(
        thread_id=on, assistant_id="jan", model=model(), max_completion_tokens=256
    )
    gaps = [1000 * (after - before) for before, after in itertools.pairwise(looks)]
    return {"status": run.status, "shortest": min(gaps)}


def streamed() -> dict[str, Any]:
    on, heard = threads.create(messages=[QUESTION]).id, Heard()
    with runs.stream(thread_id=on, assistant_id="jan", event_handler=heard) as stream:
        stream.until_done()
    final = heard.get_final_messages()[0].content[0].text.value
    return {"events": shape(heard.events), "text": heard.text, "final": final, "answer": answer(on)}


def made_and_streamed() -> dict[str, Any]:
    heard = Heard()
    with threads.create_and_run_stream(
        assistant_id="jan", thread={"messages": [QUESTION]}, event_handler=heard
    ) as stream:
        text = "".join(stream.text_deltas)
    run = heard.get_final_run()
    return {"events": shape(heard.events), "text": text, "answer": answer(run.thread_id), "run": told(run)}


def called() -> dict[str, Any]:
    on, first, second = threads.create(messages=[QUESTION]).id, Heard(), Heard()
    with runs.stream(
        thread_id=on, assistant_id="jan", tools=[WEATHER], tool_choice=CHOICE, event_handler=first
    ) as stream:
        stream.until_done()
    run = first.get_final_run()
    call = run.required_action.submit_tool_outputs.tool_calls[0]
    with runs.submit_tool_outputs_stream(
        thread_id=on,
        run_id=run.id,
        tool_outputs=[{"tool_call_id": call.id, "output": "Sunny."}],
        event_handler=second,
    ) as stream:
        stream.until_done()
    step = runs.steps.list(run.id, thread_id=on, order="asc").data[0]
    return {
        "first": first.events[-1],
        "arguments": json.loads(call.function.arguments),
        "output": step.step_details.tool_calls[0].function.output,
        "begins": second.events[0],
        "last": second.events[-1],
    }


def cancelled() -> dict[str, Any]:
    on = threads.create(messages=[QUESTION]).id
    run = runs.create(on, assistant_id="jan", extra_body={"instructions": "Count to ten thousand."})
    wished = runs.cancel(run.id, thread_id=on)
    ended = runs.poll(run.id, thread_id=on, poll_interval_ms=20)
    return {"wished": wished.status, "ended": ended.status}


def errors() -> dict[str, Any]:
    found: dict[str, Any] = {}
    on = threads.create().id
    for name, ask in {
        "no_thread": lambda: runs.create("jan-1-none", assistant_id="jan"),
        "no_assistant": lambda: runs.create(on, assistant_id="asst_none"),
        "no_run": lambda: runs.retrieve("run_none", thread_id=on),
    }.items():
        try:
            ask()
        except openai.APIStatusError as error:
            found[name] = {"status": error.status_code, "code": error.code, "param": error.param}
    return found


def shape(events: list[str]) -> list[str]:
    return [one for index, one in enumerate(events) if events[index - 1 : index] != [one]]


tell(polled, polled_unhurried, streamed, made_and_streamed, called, cancelled, errors)
