from __future__ import annotations

import json
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest

from tests.command_line import Call, add_heard, root_with
from tests.parts import Site


@pytest.fixture
def root(site: Site, tmp_path: Path) -> Path:
    """A root whose choice holds a module that works, a plugin that fails to import, and one that is not installed."""
    add_heard(site)
    site.add("jan-gone", {"jan_gone.py": "import no_such_library\n"}, {"plugins": {"gone": "jan_gone"}})
    site.add("jan-idle", {"jan_idle.py": "raise SystemError('imported')\n"}, {"plugins": {"idle": "jan_idle"}})
    text = '[endpoints]\nchat = "chat-heard"\nmodels = "models-memory"\n[plugins]\nuse = ["gone", "nowhere"]\n'
    return root_with(tmp_path / "root", text)


def by_name(told: str) -> dict[str, Any]:
    return {one["name"]: one for one in json.loads(told)["packages"]}


def test_of_the_bundle_alone_all_is_well(jan: Call, tmp_path: Path) -> None:
    done = jan("modules", "--root", tmp_path)
    assert (done.code, done.err) == (0, "")
    rows = [line.split() for line in done.out.splitlines()]
    assert rows[0] == ["kind", "name", "state", "distribution"]
    assert ["module", "chat-llamacpp", "chosen", "jan-chat-llamacpp", "0.1.0"] in rows
    assert ["backend", "jan-llamacpp", "installed", "jan-llamacpp", "0.1.0"] in rows
    told = json.loads(jan("modules", "--json", "--root", tmp_path).out)
    assert told["problems"] == []
    assert [[one["kind"], one["name"], one["state"], *one["distribution"].split()] for one in told["packages"]] == rows[
        1:
    ]


def test_what_is_broken_is_shown_with_its_facts(jan: Call, root: Path) -> None:
    done = jan("modules", "--root", root)
    assert (done.code, done.err) == (1, "")
    rows = {line.split()[1]: line.split()[2] for line in done.out.split("\n\n")[0].splitlines()}
    assert rows["gone"] == "broken"
    assert rows["idle"] == "installed"
    assert rows["chat-heard"] == rows["models-memory"] == "chosen"
    assert rows["chat-llamacpp"] == "installed"
    asked = f"[plugins] use = ['gone', 'nowhere'] ({root}/jan.toml, line 5)"
    plugins = sorted(one.name for one in entry_points(group="jan.plugins"))
    assert {"gone", "idle"} <= set(plugins)
    assert done.out.split("\n\n")[1:] == [
        f"asked:   {asked}\n"
        "answers: jan-gone 1.0, entry point gone = jan_gone (group jan.plugins)\n"
        "cause:   it fails to import: ModuleNotFoundError: No module named 'no_such_library'\n"
        "remedy:  Mend or reinstall it (pip install --force-reinstall jan-gone), or take it out of the config.",
        f"asked:   {asked}\ncause:   no plugin of that name is installed\n"
        f"remedy:  pip install jan-nowhere. Installed: {', '.join(plugins)}.\n",
    ]


def test_as_json(jan: Call, root: Path) -> None:
    done = jan("modules", "--json", "--root", root)
    assert (done.code, done.err) == (1, "")
    found = by_name(done.out)
    assert found["gone"]["state"] == "broken"
    assert set(found["gone"]["problem"]) == {"asked", "answers", "cause", "remedy"}
    assert "no_such_library" in found["gone"]["problem"]["cause"]
    assert found["chat-heard"]["asked"] == f"chat = 'chat-heard' ({root}/jan.toml, line 2)"
    assert found["idle"] == {
        "kind": "plugin",
        "name": "idle",
        "distribution": "jan-idle 1.0",
        "state": "installed",
        "asked": None,
        "built_for": None,
        "warning": None,
        "problem": None,
    }
    (problem,) = json.loads(done.out)["problems"]
    assert problem["cause"] == "no plugin of that name is installed"


def test_a_package_with_bad_settings_is_broken(jan: Call, root: Path) -> None:
    root_with(root, "[models-json]\nfoldr = 'x'\n")
    done = jan("modules", "--json", "--root", root)
    assert done.code == 1
    found = by_name(done.out)
    assert found["models-json"]["state"] == "broken"
    assert found["models-json"]["problem"]["asked"] == f"[models-json] foldr = 'x' ({root}/jan.toml, line 2)"
    assert "did you mean 'folder'?" in found["models-json"]["problem"]["remedy"]


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("[endpoints]\nchta = 'x'\n", "there is no such endpoint"),
        ("[endpoints]\nmodels = 'models-jsn'\n", "no module of that name is installed"),
        ("[endpoints]\nmodels = 3\n", "that is no module's name"),
        ("[server\n", "it is not TOML"),
        ("format = 2\n", "reads format 1"),
    ],
)
def test_a_config_that_says_nonsense_hides_no_package(jan: Call, tmp_path: Path, text: str, cause: str) -> None:
    done = jan("modules", "--root", root_with(tmp_path / "root", text))
    assert (done.code, done.err) == (1, "")
    assert "chat-llamacpp" in done.out
    assert cause in done.out
    assert str(tmp_path / "root" / "jan.toml") in done.out


FORBIDDEN = "raise SystemError('imported')\n"


def test_what_was_built_for_another_kernel_is_shown_and_hides_nothing(jan: Call, site: Site, tmp_path: Path) -> None:
    site.add("jan-old", {"jan_old.py": FORBIDDEN}, {"plugins": {"old": "jan_old"}}, requires=["jan-core<0.1"])
    site.add("jan-mute", {"jan_mute.py": ""}, {"plugins": {"mute": "jan_mute"}}, requires=[])
    site.add("jan-any", {"jan_any.py": ""}, {"plugins": {"any": "jan_any"}}, requires=["jan-core"])
    site.add("jan-rest", {"jan_rest.py": FORBIDDEN}, {"plugins": {"rest": "jan_rest"}}, requires=["jan-core>=9"])
    root = root_with(tmp_path / "root", '[plugins]\nuse = ["old", "mute", "any"]\n')
    done = jan("modules", "--json", "--root", root)
    assert (done.code, done.err) == (1, "")
    found = by_name(done.out)
    assert found["old"]["state"] == "broken"
    assert found["old"]["problem"] == {
        "asked": f"[plugins] use = ['old', 'mute', 'any'] ({root}/jan.toml, line 2)",
        "answers": "jan-old 1.0, entry point old = jan_old (group jan.plugins)",
        "cause": "it was built for jan-core <0.1, and this is jan-core 0.1.0",
        "remedy": 'pip install --upgrade jan-old, or pip install "jan-core<0.1".',
    }
    assert found["mute"]["state"] == found["any"]["state"] == "chosen"
    assert [found[name]["built_for"] for name in ("old", "mute", "any", "rest")] == ["<0.1", None, None, None]
    assert found["chat-llamacpp"]["built_for"] == found["jan-llamacpp"]["built_for"] == ">=0.1,<1"
    assert found["rest"]["state"] == "installed"
    assert {name for name, one in found.items() if one["warning"]} == {"mute", "any"}
    shown = jan("modules", "--root", root).out
    assert "warning: jan-mute 1.0 does not say which versions of jan-core it was built for" in shown
    assert "cause:   it was built for jan-core <0.1, and this is jan-core 0.1.0" in shown


def test_a_backend_that_a_chosen_module_stands_on_is_looked_at(jan: Call, site: Site, tmp_path: Path) -> None:
    needs = ["jan-core>=0.1", "jan_Pool"]
    chosen = "from jan_core.testing.scripted import provide_chat\n"
    site.add("jan-chat-pooled", {"chat_pooled.py": chosen}, {"modules": {"chat-pooled": "chat_pooled"}}, requires=needs)
    site.add("jan-pool", {"pool.py": FORBIDDEN}, {"backends": {"jan-pool": "pool"}}, requires=["jan-core>=0.2"])
    root = root_with(tmp_path / "root", '[endpoints]\nchat = "chat-pooled"\n')
    done = jan("modules", "--json", "--root", root)
    found = by_name(done.out)
    assert (done.code, found["chat-pooled"]["state"], found["jan-pool"]["state"]) == (1, "chosen", "broken")
    assert found["jan-pool"]["problem"]["asked"] == "the backend 'jan-pool', for chat-pooled"
    assert found["jan-pool"]["problem"]["cause"] == "it was built for jan-core >=0.2, and this is jan-core 0.1.0"


def test_an_endpoint_for_another_kernel_is_shown_and_hides_nothing(jan: Call, site: Site, tmp_path: Path) -> None:
    site.add("jan-more", {"more.py": FORBIDDEN}, {"endpoints": {"more": "more"}}, requires=["jan-core>=0.2"])
    root = root_with(tmp_path / "root", '[endpoints]\nmore = "more-x"\n')
    for command, beside in (("modules", "chat-llamacpp"), ("doctor", "root folder")):
        done = jan(command, "--root", root)
        assert (done.code, done.err) == (1, "")
        assert "it was built for jan-core >=0.2, and this is jan-core 0.1.0" in done.out
        assert beside in done.out
