from __future__ import annotations

import pytest
from jan_threads_postgresql.rows import (
    fields_changed,
    fields_of,
    labels_asked,
    labels_of,
    line,
    restoring,
    settings_in,
    threads_of,
)
from pydantic_core import from_json

from jan_core.errors import InvalidRequest
from jan_core.schemas.threads import Thread, ThreadsQuery

FULL = Thread.model_validate(
    {
        "id": "jan-1",
        "created_at": 1,
        "tool_resources": {"code_interpreter": {"file_ids": ["file-1"]}},
        "metadata": {"a\0": '"\\', "b": ""},
        "title": "\0 \U0001f600",
        "assistants": [{"assistant_id": "zoe", "model": "other"}, {"assistant_id": "jan"}],
        "model": "m",
        "parameters": {"stop": ["x"], "own": {"tau": [1, 2.5, None, True]}},
    }
)


@pytest.mark.parametrize("thread", [FULL, Thread(id="jan-2", created_at=2)])
def test_there_and_back(thread: Thread) -> None:
    assert threads_of([(thread.id, thread.created_at, fields_of(thread))]) == [thread]


def test_a_thread_has_the_labels_that_it_is_asked_by() -> None:
    labels = labels_of(FULL)
    assert len(labels) == 4
    for query in (
        {"metadata": {"b": ""}},
        {"assistant_id": "jan"},
        {"metadata": {"a\0": '"\\'}, "assistant_id": "zoe"},
    ):
        assert set(labels_asked(ThreadsQuery.model_validate(query))) <= set(labels)


@pytest.mark.parametrize(
    "query",
    [{"metadata": {"b": "x"}}, {"metadata": {"assistant": "jan"}}, {"assistant_id": "b"}, {"assistant_id": "\ud800"}],
)
def test_and_no_others(query: dict[str, object]) -> None:
    assert not set(labels_asked(ThreadsQuery.model_construct(**query))) & set(labels_of(FULL))


def test_nothing_asked_is_no_label() -> None:
    assert labels_asked(ThreadsQuery()) == []


def test_a_line_as_a_row_and_back() -> None:
    given = b'{"id":"t","created_at":1,"metadata":{"a":"b"},"own":{"b":[1,null]},"model.json":{"instructions":"i"}}'
    ((thread, fields),) = restoring([given])
    assert (thread.id, thread.metadata) == ("t", {"a": "b"})
    found = from_json(line("t", 1, fields))
    assert (found["own"], found["model.json"]) == ({"b": [1, None]}, {"instructions": "i"})
    (read,) = threads_of([("t", 1, fields)])
    after = from_json(fields_changed(fields, read.model_copy(update={"metadata": {}}), {"metadata", "id"}))
    assert after == {"metadata": {}, "own": {"b": [1, None]}, "model.json": {"instructions": "i"}}
    assert settings_in(fields) == {"instructions": "i"}
    assert settings_in('{"model":"m","parameters":{"seed":1},"model.json":5}') == {"model": "m", "seed": 1}
    with pytest.raises(InvalidRequest, match="created_at"):
        restoring([b'{"id":"t"}'])
