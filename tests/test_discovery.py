from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import BaseModel

from jan_core.app import Jan
from jan_core.discovery import Discovery, import_name
from jan_core.endpoints.models import Models
from jan_core.refusal import Refusal
from tests.parts import Site

NOTES = (Path(__file__).parent / "notes.py").read_text("utf-8")
NOTES_MEMORY = """
from jan_core.hookspecs import hookimpl
from stranger_notes import NotesInMemory

@hookimpl
def provide_notes(settings, jan):
    return NotesInMemory()
"""
SCRIPTED = '[endpoints]\nchat = "chat-scripted"\nmodels = "models-memory"\n'


def refused(discovery: Discovery) -> dict[str, str]:
    with pytest.raises(Refusal) as caught:
        Jan(discovery.config, discovery)
    return caught.value.facts()


def test_nothing_is_imported_but_what_the_config_names(site: Site, tmp_path: Path) -> None:
    """In a process of its own, with real metadata, as an installation has it."""
    canary = "import pathlib\npathlib.Path(__file__).with_suffix('.sung').touch()\nraise RuntimeError('unchosen')\n"
    for group in ("modules", "plugins", "backends", "endpoints"):
        files = {f"canary_{group}.py": canary}
        site.add(f"canary-{group}", files, {group: {f"chat-canary-{group}": f"canary_{group}"}})
    chosen = "from jan_core.testing.scripted import provide_chat\n"
    site.add("jan-chat-chosen", {"chat_chosen.py": chosen}, {"modules": {"chat-chosen": "chat_chosen"}})
    config = site.config(
        '[endpoints]\nchat = "chat-chosen"\nmodels = "models-canary"\ncompletions = []\nembeddings = []\n'
    )
    site.add(
        "jan-models-canary",
        {"models_canary.py": "from jan_core.testing.memory import provide_models\n"},
        {"modules": {"models-canary": "models_canary"}},
    )
    script = (
        "import sys, json\nfrom pathlib import Path\nfrom jan_core.app import Jan\nfrom jan_core.config import load\n"
        f"jan = Jan(load(Path({str(config.root)!r}), environ={{}}))\n"
        "print(json.dumps({'installed': [one.name for one in jan.discovery.installed['modules']],\n"
        "  'loaded': sorted(name for name in sys.modules if 'canary' in name or name == 'chat_chosen'\n"
        "  or name.startswith(('jan_chat_', 'jan_models_', 'jan_llamacpp')))}))\n"
    )
    path = os.pathsep.join([str(site.folder), str(Path(__file__).parents[1])])
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert "chat-canary-modules" in told["installed"]  # it was found
    assert told["loaded"] == ["chat_chosen", "models_canary"]
    assert not list(site.folder.glob("*.sung"))


def test_listing_what_is_installed_imports_nothing(site: Site) -> None:
    site.add("jan-broken", {"jan_broken.py": "raise RuntimeError"}, {"modules": {"chat-broken": "jan_broken"}}, "2.1")
    listed = site.discovery("").installed["modules"]
    assert [one.name for one in listed] == ["chat-broken", "chat-scripted", "models-memory"]
    assert listed[0].distribution == "jan-broken 2.1"
    assert listed[0].answers == "jan-broken 2.1, entry point chat-broken = jan_broken (group jan.modules)"
    assert "jan_broken" not in sys.modules


@pytest.mark.parametrize(
    ("code", "cause"),
    [
        ("import no_such_library", "it fails to import: ModuleNotFoundError: No module named 'no_such_library'"),
        ("1 / 0", "it fails to import: ZeroDivisionError: division by zero"),
        ("def f(:", "it fails to import: SyntaxError"),
        ("import sys; sys.exit('not here')", "it fails to import: SystemExit: not here"),
    ],
)
def test_a_chosen_plugin_that_fails_to_import_is_refused_with_four_facts(site: Site, code: str, cause: str) -> None:
    site.add("jan-audit", {"jan_audit.py": code}, {"plugins": {"audit": "jan_audit"}})
    discovery = site.discovery(SCRIPTED + '\n[plugins]\nuse = ["audit"]\n')
    facts = refused(discovery)
    assert facts["asked"] == f"plugin 'audit' in [plugins] use = ['audit'] ({discovery.config.path}, line 6)"
    assert facts["answers"] == "jan-audit 1.0, entry point audit = jan_audit (group jan.plugins)"
    assert facts["cause"].startswith(cause)
    assert "pip install --force-reinstall jan-audit" in facts["remedy"]


def test_the_cause_of_a_failed_import_is_chained(site: Site) -> None:
    site.add("jan-audit", {"jan_audit.py": "1 / 0"}, {"plugins": {"audit": "jan_audit"}})
    with pytest.raises(Refusal) as caught:
        site.discovery("").load("plugins", "audit", "asked")
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_an_entry_point_that_names_nothing_is_refused(site: Site) -> None:
    site.add("jan-audit", {"jan_audit.py": ""}, {"plugins": {"audit": "jan_audit:missing"}})
    facts = refused(site.discovery(SCRIPTED + '[plugins]\nuse = ["audit"]\n'))
    assert "AttributeError" in facts["cause"]
    assert "missing" in facts["cause"]


def test_two_packages_under_one_name_are_refused_naming_both(site: Site) -> None:
    for name in ("jan-one", "jan-two"):
        module = name.replace("-", "_")
        site.add(name, {f"{module}.py": "raise RuntimeError"}, {"modules": {"chat-x": module}})
    facts = refused(site.discovery('[endpoints]\nchat = "chat-x"\n'))
    assert facts["cause"] == "2 installed packages offer the module 'chat-x'"
    for name in ("jan-one", "jan-two"):
        assert f"{name} 1.0, entry point chat-x" in facts["answers"]
        assert f"pip uninstall {name}" in facts["remedy"]
    assert "jan_one" not in sys.modules


def test_an_unknown_module_is_refused_with_what_was_meant(site: Site) -> None:
    discovery = site.discovery('[endpoints]\nmodels = "models-memory"\nchat = "chat-scritped"\n')
    facts = refused(discovery)
    assert facts["asked"] == f"chat = 'chat-scritped' ({discovery.config.path}, line 3)"
    assert facts["answers"] == ""
    assert facts["cause"] == "no module of that name is installed"
    assert "did you mean 'chat-scripted'?" in facts["remedy"]
    assert "pip install jan-chat-scritped" in facts["remedy"]


def test_an_unknown_plugin_is_refused(site: Site) -> None:
    facts = refused(site.discovery(SCRIPTED + '[plugins]\nuse = ["zzz"]\n'))
    assert facts["cause"] == "no plugin of that name is installed"
    assert "did you mean" not in facts["remedy"]
    assert "pip install jan-zzz" in facts["remedy"]


@pytest.mark.parametrize(
    ("line", "cause", "remedy"),
    [
        ('chta = "chat-scripted"', "there is no such endpoint", "did you mean 'chat'?"),
        ("chat = 5", "that is no module's name", 'Write chat = "chat-…" or a list of such names'),
        ('models = ["a", "b"]', "models takes exactly one module", "Keep one: models = 'a'."),
        ("models = [1]", "that is no module's name", 'Write models = "models-…"'),
        ('chat = ["chat-scripted", "chat-scripted"]', "it names a module twice", "Keep one of them."),
    ],
)
def test_a_bad_choice_is_refused_with_file_and_line(site: Site, line: str, cause: str, remedy: str) -> None:
    discovery = site.discovery(f"# mine\n[endpoints]\n{line}\n")
    facts = refused(discovery)
    assert facts["asked"].endswith(f"({discovery.config.path}, line 3)")
    assert facts["cause"] == cause
    assert remedy in facts["remedy"]


def test_an_empty_list_serves_no_such_endpoint(site: Site) -> None:
    discovery = site.discovery('[endpoints]\nchat = []\nmodels = "models-memory"\n')
    assert [*Jan(discovery.config, discovery).endpoints] == ["models"]


def test_a_hook_that_does_not_exist_is_refused(site: Site) -> None:
    code = "from jan_core.hookspecs import hookimpl\n@hookimpl\ndef wrap_chatt(settings, jan): ...\n"
    site.add("jan-audit", {"jan_audit.py": code}, {"plugins": {"audit": "jan_audit"}})
    facts = refused(site.discovery(SCRIPTED + '[plugins]\nuse = ["audit"]\n'))
    assert "'wrap_chatt'" in facts["cause"]
    assert facts["answers"].startswith("jan-audit 1.0")


def test_a_hook_with_arguments_it_does_not_have_is_refused(site: Site) -> None:
    code = "from jan_core.hookspecs import hookimpl\n@hookimpl\ndef wrap_chat(settings, app): ...\n"
    site.add("jan-audit", {"jan_audit.py": code}, {"plugins": {"audit": "jan_audit"}})
    assert "app" in refused(site.discovery(SCRIPTED + '[plugins]\nuse = ["audit"]\n'))["cause"]


def test_a_hook_that_fails_is_refused_with_its_cause(site: Site) -> None:
    code = "from jan_core.hookspecs import hookimpl\n@hookimpl\ndef wrap_chat(settings, jan): return {}['x']\n"
    site.add("jan-audit", {"jan_audit.py": code}, {"plugins": {"audit": "jan_audit"}})
    discovery = site.discovery(SCRIPTED + '[plugins]\nuse = ["audit"]\n')
    with pytest.raises(Refusal, match="wrap_chat failed: KeyError: 'x'") as caught:
        Jan(discovery.config, discovery)
    assert isinstance(caught.value.__cause__, KeyError)


def test_each_package_gets_its_own_settings_and_is_called_alone(site: Site) -> None:
    code = """
from pydantic import BaseModel
from jan_core.hookspecs import hookimpl
SEEN = []
class Settings(BaseModel):
    word: str = "default"
@hookimpl
def settings_model():
    return Settings
@hookimpl
def wrap_models(settings, jan):
    SEEN.append(settings.word)
    return {}
"""
    for name in ("aa", "bb", "cc"):
        site.add(f"jan-{name}", {f"jan_{name}.py": code}, {"plugins": {name: f"jan_{name}"}})
    tables = '[plugins]\nuse = ["bb", "aa"]\n[aa]\nword = "for a"\n'
    discovery = site.discovery(SCRIPTED + tables)
    Jan(discovery.config, discovery)
    assert import_name("jan_aa:SEEN") == ["for a"]
    assert import_name("jan_bb:SEEN") == ["default"]
    assert "jan_cc" not in sys.modules


def test_settings_for_a_package_that_takes_none_are_refused(site: Site) -> None:
    discovery = site.discovery(SCRIPTED + "[models-memory]\nsize = 3\n")
    facts = refused(discovery)
    assert facts["asked"] == f"[models-memory] size ({discovery.config.path}, line 5)"
    assert facts["cause"] == "models-memory takes no settings"


def test_a_table_of_nothing_installed_is_refused_with_what_was_meant(site: Site) -> None:
    discovery = site.discovery(SCRIPTED + "[chat-scriptde]\nx = 1\n")
    facts = refused(discovery)
    assert facts["asked"] == f"table [chat-scriptde] ({discovery.config.path}, line 5)"
    assert "did you mean [chat-scripted]?" in facts["remedy"]
    variable = refused(site.discovery(SCRIPTED, JAN__NO_SUCH__KEY="1"))
    assert variable["asked"] == "table [no-such] (environment JAN__NO_SUCH__KEY)"


def test_the_table_of_an_installed_package_that_is_not_chosen_may_stay(site: Site) -> None:
    site.add("jan-audit", {"jan_audit.py": "raise RuntimeError"}, {"plugins": {"audit": "jan_audit"}})
    discovery = site.discovery(SCRIPTED + "[audit]\nx = 1\n")
    Jan(discovery.config, discovery)


def test_a_bundle_chooses_where_the_config_does_not(site: Site) -> None:
    bundle = "DEFAULTS = {'chat': ['chat-scripted'], 'models': 'models-nowhere'}\n"
    site.add("jan-mine", {"jan_mine.py": bundle}, {"bundles": {"mine": "jan_mine:DEFAULTS"}})
    assert site.discovery('[endpoints]\nmodels = "models-memory"\n').choices()["chat"] == (
        ["chat-scripted"],
        "chat = ['chat-scripted'] (default of jan-mine 1.0)",
    )
    facts = refused(site.discovery(""))
    assert facts["asked"] == "models = 'models-nowhere' (default of jan-mine 1.0)"
    site.add("jan-other", {}, {"bundles": {"other": "jan_mine:DEFAULTS"}})
    both = refused(site.discovery('[endpoints]\nmodels = "models-memory"\n'))
    assert both["cause"] == "more than one bundle is installed"
    assert "jan-mine 1.0" in both["answers"]
    assert "jan-other 1.0" in both["answers"]


def test_a_strangers_endpoint_its_module_and_a_plugin_around_it(site: Site) -> None:
    site.add("stranger-notes", {"stranger_notes.py": NOTES}, {"endpoints": {"notes": "stranger_notes:Notes"}})
    site.add("jan-notes-memory", {"notes_memory.py": NOTES_MEMORY}, {"modules": {"notes-memory": "notes_memory"}})
    code = """
from jan_core.hookspecs import hookimpl
@hookimpl
def wrap_notes(settings, jan):
    async def count(proceed, *arguments): return await proceed(*arguments) + 100
    return {"erase": count}
"""
    site.add("jan-audit", {"jan_audit.py": code}, {"plugins": {"audit": "jan_audit"}})
    discovery = site.discovery(SCRIPTED + 'notes = "notes-memory"\n[plugins]\nuse = ["audit"]\n')
    jan = Jan(discovery.config, discovery)
    assert type(jan.notes).__mro__[1] is import_name("stranger_notes:Notes")
    assert type(jan.notes).__name__ == "WrappedNotes"


@pytest.mark.parametrize("missing", ["provide", "wrap"])
def test_an_endpoint_without_its_hookspecs_is_refused(site: Site, missing: str) -> None:
    text = NOTES.replace(f"def {missing}_notes", f"def {missing}_something")
    site.add("stranger-notes", {"stranger_notes.py": text}, {"endpoints": {"notes": "stranger_notes:Notes"}})
    facts = refused(site.discovery(SCRIPTED + 'notes = "notes-memory"\n'))
    assert facts["cause"] == f"stranger_notes declares no hookspec {missing}_notes"
    assert facts["answers"].startswith("stranger-notes 1.0")


def test_an_endpoint_that_is_no_endpoint_class_is_refused(site: Site) -> None:
    site.add("stranger", {"stranger.py": "Notes = 5\n"}, {"endpoints": {"notes": "stranger:Notes"}})
    asking = site.discovery(SCRIPTED + 'notes = "notes-memory"\n')
    assert refused(asking)["cause"] == "its entry point names no Endpoint class"


def test_a_module_that_lacks_a_required_operation_is_refused_by_name(site: Site) -> None:
    code = """
from jan_core.endpoints.models import Models
from jan_core.hookspecs import hookimpl
class Half(Models):
    async def list(self): ...
@hookimpl
def provide_models(settings, jan): return Half()
"""
    site.add("jan-models-half", {"models_half.py": code}, {"modules": {"models-half": "models_half"}})
    facts = refused(site.discovery('[endpoints]\nmodels = "models-half"\n'))
    assert facts["cause"].startswith("provide_models failed: TypeError")
    assert "Half" in facts["cause"]
    assert "locate" in facts["cause"]
    assert "retrieve" in facts["cause"]
    assert "'delete'" not in facts["cause"]


def test_one_package_may_be_several_modules_and_a_plugin(site: Site) -> None:
    code = """
from jan_core.hookspecs import hookimpl
from jan_core.testing.memory import provide_models
from jan_core.testing.scripted import provide_chat
@hookimpl
def wrap_models(settings, jan):
    async def nothing(proceed, *arguments): return await proceed(*arguments)
    return {"*": nothing}
"""
    entries = {"modules": {"chat-all": "jan_all", "models-all": "jan_all"}, "plugins": {"all": "jan_all"}}
    site.add("jan-all", {"jan_all.py": code}, entries)
    text = '[endpoints]\nchat = "chat-all"\nmodels = "models-all"\n[plugins]\nuse = ["all"]\n'
    discovery = site.discovery(text)
    jan = Jan(discovery.config, discovery)
    assert isinstance(jan.models, Models)
    assert type(jan.models).__name__ == "WrappedModels"


def test_a_settings_model_that_is_none_is_refused(site: Site) -> None:
    code = "from jan_core.hookspecs import hookimpl\n@hookimpl\ndef settings_model(): return dict\n"
    site.add("jan-audit", {"jan_audit.py": code}, {"plugins": {"audit": "jan_audit"}})
    facts = refused(site.discovery(SCRIPTED + '[plugins]\nuse = ["audit"]\n'))
    assert facts["cause"] == f"settings_model must return a {BaseModel.__name__} class, but returned {dict!r}"
    assert facts["answers"].startswith("jan-audit 1.0")
