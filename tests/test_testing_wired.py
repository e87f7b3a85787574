from __future__ import annotations

from pathlib import Path

import pytest

from jan_core.config import Value
from jan_core.testing.wired import entry_points, wired
from tests.parts import plugins


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
