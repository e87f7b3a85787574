"""openai-python's `beta.assistants` and `beta.threads` against a server, as their users write it."""

from __future__ import annotations

from typing import Any

import openai
from told import base_url, model, tell

client = openai.OpenAI(base_url=base_url(), api_key="none", max_retries=0, timeout=120)
assistants, threads = client.beta.assistants, client.beta.threads
TOOL = {"type": "function", "function": {"name": "look_up", "parameters": {"type": "object", "properties": {}}}}
GIVEN: dict[str, Any] = {
    "name": "Mathe-Übung ☃",
    "description": "Teaches.",
    "instructions": "Be short.",
    "tools": [TOOL, {"type": "code_interpreter"}, {"type": "file_search", "file_search": {"max_num_results": 5}}],
    "tool_resources": {"code_interpreter": {"file_ids": ["file-1"]}, "file_search": {"vector_store_ids": ["vs_1"]}},
    "metadata": {"subject": "maths"},
    "temperature": 0.5,
    "top_p": 0.9,
    "response_format": {"type": "json_object"},
}


def assistant() -> dict[str, Any]:
    made = assistants.create(model=model(), **GIVEN, reasoning_effort="low")
    found = assistants.retrieve(made.id)
    changed = assistants.update(made.id, name="Other", metadata={"a": "b"})
    listed = [one.id for one in assistants.list(limit=1)]
    gone = assistants.delete(made.id)
    return {
        "made": made.model_dump(),
        "found": found.model_dump(),
        "changed": changed.model_dump(),
        "listed": listed,
        "gone": gone.model_dump(),
        "left": [one.id for one in assistants.list()],
    }


def thread() -> dict[str, Any]:
    made = threads.create(
        messages=[
            {"role": "user", "content": "one", "metadata": {"n": "1"}},
            {"role": "assistant", "content": [{"type": "text", "text": "two"}]},
        ],
        metadata={"topic": "numbers"},
        tool_resources={"code_interpreter": {"file_ids": ["file-1"]}},
    )
    said = [one.content[0].text.value for one in threads.messages.list(made.id, order="asc")]
    changed = threads.update(made.id, metadata={"topic": "letters"})
    found = threads.retrieve(made.id)
    gone = threads.delete(made.id)
    return {
        "made": made.model_dump(),
        "said": said,
        "changed": changed.model_dump(),
        "found": found.model_dump(),
        "gone": gone.model_dump(),
    }


def messages() -> dict[str, Any]:
    on = threads.create().id
    made = threads.messages.create(
        on,
        role="user",
        content=[
            {"type": "text", "text": "see"},
            {"type": "image_url", "image_url": {"url": "https://images.example/a.png", "detail": "low"}},
            {"type": "image_file", "image_file": {"file_id": "file-1", "detail": "high"}},
        ],
        attachments=[{"file_id": "file-2", "tools": [{"type": "file_search"}, {"type": "code_interpreter"}]}],
        metadata={"k": "v"},
    )
    found = threads.messages.retrieve(made.id, thread_id=on)
    changed = threads.messages.update(made.id, thread_id=on, metadata={"new": "pair"})
    more = [threads.messages.create(on, role="user", content=str(number)).id for number in range(5)]
    page = threads.messages.list(on, limit=2)
    after = threads.messages.list(on, limit=2, after=page.last_id)
    before = threads.messages.list(on, before=page.last_id)
    every = [one.id for one in threads.messages.list(on, limit=2, order="asc")]
    of_run = threads.messages.list(on, run_id="run_1")
    gone = threads.messages.delete(made.id, thread_id=on)
    return {
        "made": made.model_dump(),
        "found": found.model_dump(),
        "changed": changed.model_dump(),
        "more": more,
        "page": [one.id for one in page.data],
        "after": [one.id for one in after.data],
        "before": [one.id for one in before.data],
        "every": every,
        "of_run": [one.id for one in of_run.data],
        "gone": gone.model_dump(),
        "left": [one.id for one in threads.messages.list(on)],
    }


def errors() -> dict[str, Any]:
    told: dict[str, Any] = {}
    on = threads.create().id
    for name, ask in {
        "no_thread": lambda: threads.retrieve("jan-1-none"),
        "no_message": lambda: threads.messages.retrieve("msg_none", thread_id=on),
        "no_assistant": lambda: assistants.retrieve("asst_none"),
        "default": lambda: assistants.delete("jan"),
        "cursor": lambda: threads.messages.list(on, after="msg_none"),
        "metadata": lambda: threads.update(on, metadata={"k": "v" * 513}),
    }.items():
        try:
            ask()
        except openai.APIStatusError as error:
            told[name] = {"status": error.status_code, "code": error.code, "param": error.param}
    return told


def repeated() -> dict[str, Any]:
    on = threads.create().id
    key = {"Idempotency-Key": "a key of the client"}
    first = threads.messages.create(on, role="user", content="once", extra_headers=key)
    second = threads.messages.create(on, role="user", content="once", extra_headers=key)
    try:
        threads.messages.create(on, role="user", content="other", extra_headers=key)
        other = None
    except openai.ConflictError as error:
        other = error.code
    return {"same": first == second, "kept": len(threads.messages.list(on).data), "other": other}


tell(assistant, thread, messages, errors, repeated)
