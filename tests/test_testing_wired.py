from __future__ import annotations

from pathlib import Path

import pytest

from jan_core.config import Value
from jan_core.refusal import Refusal
from jan_core.testing.wired import entry_points, one_module, wired
from tests.parts import Site, plugins


@pytest.mark.anyio
async def test_an_app_of_the_scripted_engine_and_models_in_memory(tmp_path: Path) -> None:
    async with wired(tmp_path) as jan:
        assert sorted(jan.endpoints) == ["chat", "models"]
        assert [chosen.name for chosen, _ in jan.modules] == ["models-memory", "chat-scripted"]
        assert jan.plugins == []
        assert jan.root == tmp_path


def test_the_environment_does_not_count_but_the_roots_file_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JAN__SERVER__PORT", "5")
    (tmp_path / "jan.toml").write_text("[server]\nheader_bytes = 2048\nbody_bytes = 4096\n")
    jan = wired(tmp_path, {"server": {"body_bytes": 8192}})
    assert (jan.server.port, jan.server.header_bytes, jan.server.body_bytes) == (1337, 2048, 8192)
    assert jan.config.get("server", "body_bytes") == Value(8192, "test [server] body_bytes")


def test_parts_are_chosen_by_their_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    named = plugins(monkeypatch, "wrap_chat", outer={}, inner={})
    jan = wired(tmp_path, {"endpoints": {"chat": []}}, plugins=named)
    assert [*jan.endpoints] == ["models"]
    assert [chosen.name for chosen, _ in jan.plugins] == ["outer", "inner"]
    found = entry_points({"chat-a": "x:y"}, {"p": "z"})
    assert [(one.name, one.value, one.group) for one in [*found["modules"], *found["plugins"]]] == [
        ("chat-a", "x:y", "jan.modules"),
        ("p", "z", "jan.plugins"),
    ]


ECHO = """
from jan_core.hookspecs import hookimpl
from jan_core.testing.scripted import provide_chat

class Given:
    provide_chat = staticmethod(provide_chat)

given = Given()
"""


@pytest.mark.parametrize("module", ["jan_chat_echo", "jan_chat_echo:given", "jan_core.testing.scripted"])
def test_one_module_is_what_is_imported(tmp_path: Path, site: Site, module: str) -> None:
    (site.folder / "jan_chat_echo.py").write_text(ECHO)
    jan = one_module(tmp_path / "root", "chat", module)
    assert [chosen.name for chosen, _ in jan.modules if chosen.name.startswith("chat")] == ["chat-given"]


@pytest.mark.parametrize(
    ("module", "told"),
    [
        ("jan_chat_ehco", "nothing is imported by it"),
        ("jan_chat_ehco:given", "nothing is imported by it"),
        ("jan_chat_ehco.inside:given", "nothing is imported by it"),
        ("", "nothing is imported by it"),
        (".echo", "nothing is imported by it"),
        ("messages-jsn", "did you mean 'messages-json'"),
        ("jan_core.testing.nowhere", "it fails to import: ModuleNotFoundError"),
        ("jan_core:nowhere", "it fails to import: AttributeError"),
    ],
)
def test_what_fits_nothing_is_refused(tmp_path: Path, module: str, told: str) -> None:
    with pytest.raises(Refusal, match=told):
        one_module(tmp_path / "root", "messages", module)
