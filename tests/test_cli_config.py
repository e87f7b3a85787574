from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from jan_core.cli.config import _toml, _without_password
from jan_core.settings import ServerSettings
from tests.command_line import Call, add_heard, root_with
from tests.parts import Site

TEXT = """\
format = 1
[server]
port = 4000

allowed_hosts = ["büro"]
[endpoints]
models = "models-json"
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return root_with(tmp_path / "root", TEXT)


def test_it_shows_what_holds_and_reads_as_toml(jan: Call, root: Path) -> None:
    done = jan("config", "show", "--root", root)
    assert (done.code, done.err) == (0, "")
    shown = tomllib.loads(done.out)
    assert [*shown][:3] == ["server", "endpoints", "plugins"]
    assert shown["server"] == {**ServerSettings().model_dump(), "port": 4000, "allowed_hosts": ["büro"]}
    assert shown["endpoints"] == {
        "assistants": "assistants-json",
        "chat": "chat-llamacpp",
        "completions": "completions-llamacpp",
        "embeddings": "embeddings-llamacpp",
        "messages": "messages-json",
        "models": "models-json",
        "runs": "runs-json",
        "threads": "threads-json",
    }
    assert shown["plugins"] == {"use": []}
    assert shown["jan-llamacpp"]["context"] == 4096
    assert "# folder is not set" in done.out


def test_it_tells_where_each_value_comes_from(jan: Call, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAN__SERVER__PORT", "5000")
    monkeypatch.setenv("JAN__JAN_LLAMACPP__SLOTS", "2")
    lines = jan("config", "show", "--origin", "--root", root).out.splitlines()
    told = dict(line.split("#", 1) for line in lines if "#" in line and not line.startswith("#"))
    origins = {key.strip(): origin.strip() for key, origin in told.items()}
    assert origins["port = 5000"] == "environment JAN__SERVER__PORT"
    assert origins["slots = 2"] == "environment JAN__JAN_LLAMACPP__SLOTS"
    assert origins['allowed_hosts = ["büro"]'] == f"{root}/jan.toml, line 5"
    assert origins['host = "127.0.0.1"'] == "default"
    assert origins['models = "models-json"'] == f"models = 'models-json' ({root}/jan.toml, line 7)"
    assert origins['chat = "chat-llamacpp"'] == "chat = ['chat-llamacpp'] (default of jan 0.1.0)"
    assert jan("config", "show", "--origin", "--root", root).out.count("[server]") == 1


def test_as_json(jan: Call, root: Path) -> None:
    shown = json.loads(jan("config", "show", "--json", "--root", root).out)
    assert shown["server"]["port"] == 4000
    shown = json.loads(jan("config", "show", "--json", "--origin", "--root", root).out)
    assert shown["server"]["port"] == {"value": 4000, "origin": f"{root}/jan.toml, line 3"}
    assert shown["server"]["host"] == {"value": "127.0.0.1", "origin": "default"}
    assert shown["plugins"]["use"] == {"value": [], "origin": "default"}


def test_settings_of_plugins_and_chosen_modules_are_shown(jan: Call, site: Site, tmp_path: Path) -> None:
    add_heard(site)
    code = (
        "from pydantic import BaseModel\nfrom jan_core.hookspecs import hookimpl\n"
        "class S(BaseModel):\n    depth: int = 1\n@hookimpl\ndef settings_model(): return S\n"
    )
    site.add("jan-deep", {"jan_deep.py": code}, {"plugins": {"deep": "jan_deep"}})
    text = (
        '[endpoints]\nchat = ["chat-heard"]\ncompletions = []\nembeddings = []\nmodels = "models-memory"\n'
        "assistants = []\nthreads = []\nmessages = []\nruns = []\n"
        '[plugins]\nuse = ["deep"]\n[deep]\ndepth = 3\n'
    )
    done = jan("config", "show", "--root", root_with(tmp_path / "root", text))
    shown = tomllib.loads(done.out)
    assert [*shown] == ["server", "endpoints", "plugins", "deep"]
    assert shown["deep"] == {"depth": 3}
    assert shown["plugins"] == {"use": ["deep"]}


@pytest.mark.parametrize("value", ['a"b\\c\n', "büro\x1f", True, False, 3, 2.5, [], ["a", 1], 1e100])
def test_values_are_written_as_toml(value: object) -> None:
    assert tomllib.loads(f"v = {_toml(value)}")["v"] == value


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("postgresql://jan:secret@db/jan", "postgresql://jan:…@db/jan"),
        ("postgresql://:secret@db:1/jan", "postgresql://:…@db:1/jan"),
        ("host=db password=secret dbname=jan", "host=db password=… dbname=jan"),
        ("host=db password = 'a b' dbname=jan", "host=db password = … dbname=jan"),
        ("http://127.0.0.1:4318/v1", "http://127.0.0.1:4318/v1"),
        ("user@example.org", "user@example.org"),
        (5, 5),
    ],
)
def test_passwords_are_not_shown(value: object, shown: object) -> None:
    assert _without_password(value) == shown


def test_aliases_are_shown_where_there_are_some(jan: Call, root: Path) -> None:
    assert "aliases" not in tomllib.loads(jan("config", "show", "--root", root).out)
    (root / "jan.toml").write_text('[aliases]\nmini = "x"\n')
    told = json.loads(jan("config", "show", "--origin", "--json", "--root", root).out)
    assert told["aliases"] == {"mini": {"value": "x", "origin": f"{root}/jan.toml, line 2"}}
