"""Both engines behind one server: the official client, on the real model in an early GGUF file and a tiny GPT-2."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest

from tests.e2e.server import LINUX, MODEL, JanServer, add_model, cpu_seconds, run_jan, until, write_config
from tests.models.tiny_gpt2 import TALE, tiny_gpt2

FRANCE: Any = [{"role": "user", "content": "Name the capital of France."}]
GO: Any = [{"role": "user", "content": "go"}]
PLAIN = {"chat_template": "plain"}


@pytest.fixture(scope="module")
def both(
    tmp_path_factory: pytest.TempPathFactory, smollm2_path: Path, smollm2_ggml: Path, tiny_gpt2: Path
) -> Iterator[JanServer]:
    """A server with models for both engines."""
    root = tmp_path_factory.mktemp("both") / "root"
    chosen = {"chat": ["chat-llamacpp", "chat-ctransformers"], "completions": ["completions-ctransformers"]}
    write_config(
        root,
        endpoints=chosen,
        jan_ctransformers={"threads": 1, "context": 1024},
    )
    add_model(root, MODEL, smollm2_path)
    add_model(root, "early", smollm2_ggml, engine="ctransformers")
    add_model(root, "tiny", tiny_gpt2, settings=PLAIN)
    add_model(root, "untaught", tiny_gpt2)
    with JanServer(root) as server:
        yield server
        assert server.checks.replies > 0


@pytest.fixture
def client(both: JanServer) -> openai.OpenAI:
    return both.client()


def chat(client: openai.OpenAI, model: str = "tiny", messages: Any = GO, **options: Any) -> Any:
    return client.chat.completions.create(model=model, messages=messages, **options)


def test_each_model_is_answered_by_its_engine(client: openai.OpenAI) -> None:
    for model, engine in ((MODEL, "llamacpp"), ("early", "ctransformers")):
        reply = chat(client, model, FRANCE, temperature=0, max_tokens=16)
        assert "Paris" in reply.choices[0].message.content
        assert reply.system_fingerprint == engine
        assert reply.usage.prompt_tokens == 36
    assert chat(client).system_fingerprint == "ctransformers"


def test_a_stream_and_a_plain_reply_say_the_same(client: openai.OpenAI) -> None:
    reply = chat(client)
    assert (reply.choices[0].message.content, reply.choices[0].finish_reason) == (f" {TALE}", "stop")
    chunks = list(chat(client, stream=True, stream_options={"include_usage": True}))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks[:-1]) == f" {TALE}"
    assert chunks[-2].choices[0].finish_reason == "stop"
    for usage in (chunks[-1].usage, reply.usage):
        assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (6, 14, 20)


@pytest.mark.parametrize("stop", ["STOPP", ["never", "TOPPED"]])
def test_nothing_of_a_stop_string_is_streamed(client: openai.OpenAI, stop: Any) -> None:
    chunks = list(chat(client, stream=True, stop=stop))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert text == f" {TALE}".partition(stop if isinstance(stop, str) else stop[1])[0]


def test_several_choices_come_one_after_the_other(client: openai.OpenAI) -> None:
    messages: Any = [{"role": "user", "content": "x"}]
    reply = chat(client, "early", messages, n=3, seed=1, temperature=1.5, max_tokens=5)
    assert [choice.index for choice in reply.choices] == [0, 1, 2]
    assert len({choice.message.content for choice in reply.choices}) > 1
    assert reply.usage.completion_tokens <= 15
    again = chat(client, "early", messages, seed=2, temperature=1.5, max_tokens=5)
    assert again.choices[0].message.content == reply.choices[1].message.content


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("logprobs", True),
        ("logit_bias", {"1": 5}),
        ("frequency_penalty", 1),
        ("presence_penalty", 1),
        ("response_format", {"type": "json_object"}),
        ("tools", [{"type": "function", "function": {"name": "f"}}]),
        ("store", True),
        ("reasoning_effort", "high"),
    ],
)
def test_what_it_cannot_do_is_refused_by_name(client: openai.OpenAI, field: str, value: Any) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        chat(client, **{field: value})
    assert (refused.value.param, refused.value.code) == (field, "not_supported")


def test_pictures_are_refused(client: openai.OpenAI) -> None:
    part = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    with pytest.raises(openai.BadRequestError) as refused:
        chat(client, messages=[{"role": "user", "content": [part]}])
    assert refused.value.param == "messages[0].content[0].type"


def test_a_prompt_that_does_not_fit(client: openai.OpenAI) -> None:
    for words in (300, 100_000):
        for stream in (False, True):
            with pytest.raises(openai.BadRequestError, match="256 tokens") as refused:
                chat(client, messages=[{"role": "user", "content": "go " * words}], stream=stream)
            assert (refused.value.code, refused.value.param) == ("context_length_exceeded", "messages")


def test_a_model_without_a_chat_template_says_what_to_do(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match=r"settings\.chat_template") as refused:
        chat(client, "untaught")
    assert refused.value.code == "no_chat_template"
    reply = client.completions.create(model="untaught", prompt="go", max_tokens=50)
    assert reply.choices[0].text == f" {TALE}"


def test_completions(client: openai.OpenAI) -> None:
    reply = client.completions.create(model="tiny", prompt=["go", "tick"], n=2, max_tokens=2, echo=True)
    assert [choice.text for choice in reply.choices] == ["go One caf"] * 2 + ["tick tock tick"] * 2
    assert reply.usage is not None
    assert (reply.usage.prompt_tokens, reply.usage.completion_tokens) == (2, 8)
    chunks = list(client.completions.create(model="tiny", prompt=[[256]], stream=True, max_tokens=50, stop="€"))
    assert "".join(chunk.choices[0].text for chunk in chunks) == " One café for 5"
    for field, value in (("logprobs", 1), ("best_of", 3), ("suffix", "x")):
        with pytest.raises(openai.BadRequestError) as refused:
            client.completions.create(model="tiny", prompt="go", **{field: value})  # type: ignore[call-overload]
        assert (refused.value.param, refused.value.code) == (field, "not_supported")
    with pytest.raises(openai.BadRequestError, match="0 to 275"):
        client.completions.create(model="tiny", prompt=[276])


@LINUX
@pytest.mark.parametrize("said", ["Write a long story", "word " * 900], ids=["writing", "reading"])
def test_a_client_that_leaves_ends_its_answer(both: JanServer, client: openai.OpenAI, said: str) -> None:
    chat(client, "early", FRANCE, max_tokens=1)
    worker = worker_of(both, "early")
    used = cpu_seconds(worker)
    with both.raw() as left:
        left.chat(model="early", messages=[{"role": "user", "content": said}], stream=True, temperature=0)
        if said.startswith("Write"):
            assert left.head()[0] == 200
            next(left.events())
        else:
            until(lambda: cpu_seconds(worker) - used > 0.3, 60, "the prompt is being read")
    used = cpu_seconds(worker)
    assert chat(client, "early", FRANCE, max_tokens=1).usage.completion_tokens == 1
    assert cpu_seconds(worker) - used < 4, "the one that had left was answered to its end, which takes ten seconds"


@LINUX
def test_a_killed_worker_costs_its_request_only(both: JanServer, client: openai.OpenAI) -> None:
    story: Any = [{"role": "user", "content": "Write a long story"}]  # which it does, for ten seconds
    stream = iter(chat(client, "early", story, stream=True, temperature=0))
    next(stream)
    os.kill(worker_of(both, "early"), signal.SIGKILL)
    with pytest.raises(openai.APIError):
        list(stream)
    assert "Paris" in chat(client, "early", FRANCE, temperature=0, max_tokens=16).choices[0].message.content


def worker_of(server: JanServer, model: str) -> int:
    """The process id of a loaded model's worker."""
    told = httpx2.get(f"http://127.0.0.1:{server.port}/engines/models").json()["data"]
    return int(next(one["pid"] for one in told if one["id"] == model))


def test_a_damaged_file_is_an_error_that_names_it(both: JanServer, client: openai.OpenAI) -> None:
    whole = tiny_gpt2()
    for name, content in {"cut": whole[:-1000], "more-heads": whole[:16] + b"\x05" + whole[17:]}.items():
        path = both.root / f"{name}.bin"
        path.write_bytes(content)
        add_model(both.root, name, path, settings=PLAIN)
        with pytest.raises(openai.APIError, match=rf"{name}\.bin") as refused:
            chat(client, name)
        assert getattr(refused.value, "status_code", 0) in (400, 503)
    assert chat(client).choices[0].message.content == f" {TALE}"


def test_a_ggml_file_is_pulled_from_this_disk(tmp_path: Path, tiny_gpt2: Path) -> None:
    root = tmp_path / "root"
    pulled = run_jan("models", "pull", str(tiny_gpt2), "--name", "tiny", "--root", str(root))
    assert pulled.returncode == 0, pulled.stderr
    assert (root / "models" / "tiny" / "tiny-gpt2.bin").exists()
    listed = run_jan("models", "ls", "--root", str(root))
    assert "tiny" in listed.stdout
    other = tmp_path / "pytorch_model.bin"
    other.write_bytes(b"PK\x03\x04 something else")
    refused = run_jan("models", "pull", str(other), "--root", str(root))
    assert refused.returncode != 0
    assert "GGUF" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_the_library_is_never_in_the_server(both: JanServer) -> None:
    if sys.platform == "linux":
        assert "libctransformers" not in Path(f"/proc/{both.process.pid}/maps").read_text()
    done = subprocess.run(
        [sys.executable, "-c", "import sys, jan_ctransformers.backend; print('ctransformers' in sys.modules)"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.strip() == "False"
