"""The list of models over HTTP, while a person works in the folder."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.e2e.server import MODEL, JanServer, add_model

HELLO: Any = [{"role": "user", "content": "Say hello"}]
COPY = f"{MODEL}:SmolLM2-135M-Instruct.Q8_0"


def ids(client: openai.OpenAI) -> list[str]:
    return [model.id for model in client.models.list()]


def test_every_listed_model_can_be_retrieved(client: openai.OpenAI) -> None:
    listed = list(client.models.list())
    assert {MODEL, "small", COPY} <= {model.id for model in listed}
    for model in listed:
        assert client.models.retrieve(model.id) == model


@pytest.mark.parametrize("model", [COPY, f"{MODEL}:SmolLM2-135M-Instruct.Q4_1"])
def test_another_quantization_answers_under_its_own_id(client: openai.OpenAI, model: str) -> None:
    if model not in ids(client):
        # The folder's own id stands for its first file.
        assert client.models.retrieve(model).id == model
    reply = client.chat.completions.create(model=model, messages=HELLO, max_tokens=1)
    assert reply.model == model
    assert reply.usage is not None
    assert reply.usage.completion_tokens == 1


@pytest.mark.parametrize(
    "model",
    ["nothing-here", "owner/name", "owner/name:tag", f"{MODEL}:other", MODEL.upper(), "small/x"],
)
def test_an_unknown_model_is_404(client: openai.OpenAI, model: str) -> None:
    with pytest.raises(openai.NotFoundError) as asked:
        client.chat.completions.create(model=model, messages=HELLO)
    assert (asked.value.code, asked.value.param) == ("model_not_found", "model")
    with pytest.raises(openai.NotFoundError) as streamed:
        client.chat.completions.create(model=model, messages=HELLO, stream=True)
    assert streamed.value.code == "model_not_found"
    for ask in (client.models.retrieve, client.models.delete):
        with pytest.raises(openai.NotFoundError) as refused:
            ask(model)
        assert refused.value.code == "model_not_found"


@pytest.mark.parametrize("model", ["../small", "a" * 200, "C:x", "con", "small\x00", "small/../small", "sm\u0430ll"])
def test_what_cannot_be_an_id_is_refused(client: openai.OpenAI, model: str) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        client.chat.completions.create(model=model, messages=HELLO)
    assert (refused.value.code, refused.value.param) == ("invalid_id", "model")


def test_a_near_miss_is_told(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match=f"Did you mean `{MODEL}`"):
        client.chat.completions.create(model="smollm2-135m-instrukt", messages=HELLO)


def test_a_hand_edit_is_in_the_next_reply(shared: JanServer, smollm2_path: Path) -> None:
    client = shared.client()
    folder = add_model(shared.root, "by-hand", smollm2_path)
    assert "by-hand" in ids(client)
    for number in range(20):
        owner = f"owner {number}"
        (folder / "model.json").write_text(json.dumps({"owned_by": owner, "created": 1_700_000_000 + number}))
        found = next(model for model in client.models.list() if model.id == "by-hand")
        assert (found.owned_by, found.created) == (owner, 1_700_000_000 + number)
    folder.rename(folder.with_name("renamed"))
    assert "by-hand" not in ids(client)
    assert "renamed" in ids(client)
    shutil.rmtree(folder.with_name("renamed"))
    assert "renamed" not in ids(client)


def test_a_new_context_in_model_json_holds_for_the_next_request(shared: JanServer, smollm2_path: Path) -> None:
    client = shared.client()
    folder = add_model(shared.root, "resized", smollm2_path, settings={"ctx_len": 256, "n_parallel": 1})
    words: Any = [{"role": "user", "content": "word " * 260}]
    with pytest.raises(openai.BadRequestError, match="256 tokens"):
        client.chat.completions.create(model="resized", messages=words, max_tokens=1)
    (folder / "model.json").write_text(json.dumps({"settings": {"ctx_len": 512, "n_parallel": 1}}))
    reply = client.chat.completions.create(model="resized", messages=words, max_tokens=1)
    assert reply.usage is not None
    assert reply.usage.prompt_tokens > 260


def test_a_deleted_model_is_gone_and_its_linked_file_is_not(shared: JanServer, smollm2_path: Path) -> None:
    client = shared.client()
    folder = add_model(shared.root, "to-delete", smollm2_path)
    assert client.models.delete("to-delete").deleted is True
    assert not folder.exists()
    assert smollm2_path.is_file()
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("to-delete")


def test_a_broken_model_json_hides_no_other_model(shared: JanServer, smollm2_path: Path) -> None:
    client = shared.client()
    before = ids(client)
    folder = add_model(shared.root, "broken", smollm2_path)
    (folder / "model.json").write_text('{"owned_by": "x",\n  oops}')
    assert set(ids(client)) - {"broken"} == set(before)
    with pytest.raises(openai.BadRequestError, match=r"model\.json, line 2"):
        client.chat.completions.create(model="broken", messages=HELLO)
    shutil.rmtree(folder)
