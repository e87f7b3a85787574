from __future__ import annotations

import asyncio
import inspect
import subprocess
import sys
import tomllib
from importlib.metadata import Distribution, distributions, entry_points
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.specifiers import SpecifierSet
from packaging.version import Version

import jan_core
from jan_core import hookspecs, versions
from jan_core.app import Jan
from jan_core.refusal import Refusal
from jan_core.testing.contract.case import Case
from jan_core.testing.wired import one_module
from jan_core.versions import BuiltFor, built_for
from tests.parts import Site

REPOSITORY = Path(__file__).parent.parent
CODE = "from jan_core.testing.scripted import provide_chat\n"
NUMBERS = st.lists(st.integers(0, 3), min_size=1, max_size=4).map(lambda parts: ".".join(map(str, parts)))
BOUNDS = st.tuples(st.sampled_from((">=", "<=", "<", ">")), NUMBERS).map("".join)


def distribution(site: Site, *requires: str) -> Distribution:
    site.add("jan-x", {}, {}, requires=requires)
    (found,) = distributions(path=[str(site.folder)])
    return found


@pytest.mark.parametrize(
    ("requires", "declared"),
    [
        (["jan-core>=0.1,<1"], ">=0.1,<1"),
        (["jan-core<1,>=0.1"], ">=0.1,<1"),
        (["Jan_Core (>=0.1)"], ">=0.1"),
        (["jan-core[testing]>=0.1"], ">=0.1"),
        (["jan-core"], ""),
        (["jan-core>=0.1", "jan-core<1"], ">=0.1,<1"),
        (['jan-core>=0.1; python_version > "3"', 'jan-core<0.1; python_version < "3"'], ">=0.1"),
        (["jan-core @ file:///somewhere"], ""),
        (['jan-core>=9; extra == "dev"'], None),
        (["jan-core-more>=3", "jan"], None),
        ([], None),
    ],
)
def test_what_metadata_declare(site: Site, requires: list[str], declared: str | None) -> None:
    found = built_for(distribution(site, *requires))
    assert (found.declared if found else None) == declared


@settings(max_examples=1000)
@given(st.lists(BOUNDS, min_size=1, max_size=3).map(",".join), NUMBERS)
def test_what_is_compared_without_packaging_is_what_packaging_says(declared: str, version: str) -> None:
    assert BuiltFor(declared).has(version) == SpecifierSet(declared).contains(version, prereleases=True)


@pytest.mark.parametrize(
    ("declared", "version", "has"),
    [
        ("", "7.3", True),
        (">=0.1,<1", "0.1", True),
        (">=0.1,<1", "0.99.3", True),
        (">=0.1,<1", "1.0", False),
        (">=0.1,<1", "1.0rc1", False),  # what comes before 1.0 is not before 1 in the sense of <1
        (">=0.1,<1", "0.2.0.dev3", True),
        (">=0.2", "0.2.0rc1", False),
        (">=0.2.0.dev0", "0.2.0rc1", True),
        (">=0.1", "0.1.0+ours.2", True),
        ("==0.1.*", "0.1.7", True),
        ("~=0.3", "0.4.1", True),
        ("~=0.3.0", "0.4.1", False),
        ("!=0.1.2,>=0.1", "0.1.2", False),
    ],
)
def test_which_versions_fit(declared: str, version: str, has: bool) -> None:
    assert BuiltFor(declared).has(version) is has


@pytest.mark.parametrize(
    ("declared", "version", "before"),
    [
        (">=0.1,<1", "0.1", False),
        (">=0.1,<1", "0.2", True),
        (">=0.1.4", "0.1", False),
        (">=0.2,>=0.1", "0.2", False),
        ("~=0.3", "0.4", True),
        ("==0.3.*", "0.4", True),
        ("<1", "0.9", False),
        ("", "0.9", False),
        ("!=0.1", "0.9", False),
    ],
)
def test_what_a_package_was_built_before(declared: str, version: str, before: bool) -> None:
    assert BuiltFor(declared).from_before(version) is before


def chosen(site: Site, *requires: str, group: str = "modules") -> Refusal:
    """The refusal of a module that must not even be imported."""
    site.add("jan-chat-x", {"chat_x.py": "raise SystemError"}, {group: {"chat-x": "chat_x"}}, requires=requires)
    use = '[endpoints]\nchat = "chat-x"\n' if group == "modules" else '[plugins]\nuse = ["chat-x"]\n'
    discovery = site.discovery(use)
    with pytest.raises(Refusal) as caught:
        Jan(discovery.config, discovery)
    return caught.value


def test_a_module_for_a_later_kernel_is_refused_with_four_facts_and_not_imported(site: Site) -> None:
    refusal = chosen(site, "jan-core>=0.2,<1")
    assert refusal.facts() == {
        "asked": f"chat = 'chat-x' ({site.folder.parent / 'root' / 'jan.toml'}, line 2)",
        "answers": "jan-chat-x 1.0, entry point chat-x = chat_x (group jan.modules)",
        "cause": "it was built for jan-core >=0.2,<1, and this is jan-core 0.1.0",
        "remedy": 'pip install --upgrade jan-chat-x, or pip install "jan-core>=0.2,<1".',
    }
    assert "chat_x" not in sys.modules


def test_a_plugin_for_an_earlier_kernel_is_refused(site: Site) -> None:
    assert chosen(site, "jan-core<0.1", group="plugins").cause.startswith("it was built for jan-core <0.1")


def test_a_requirement_that_cannot_be_read_is_refused(site: Site) -> None:
    refusal = chosen(site, "jan-core>=zero")
    assert "cannot be read" in refusal.cause
    assert "--force-reinstall jan-chat-x" in refusal.remedy


@pytest.mark.parametrize(("group", "config"), [("endpoints", '[endpoints]\nmore = "more-x"\n'), ("bundles", "")])
def test_what_is_used_without_being_named_itself_is_looked_at_too(site: Site, group: str, config: str) -> None:
    site.add("jan-more", {"more.py": "raise SystemError"}, {group: {"more": "more"}}, requires=["jan-core>=0.2"])
    discovery = site.discovery(config)
    with pytest.raises(Refusal, match=r"built for jan-core >=0\.2"):
        Jan(discovery.config, discovery)


def test_a_backend_is_looked_at_when_a_module_asks_for_it(site: Site) -> None:
    code = (
        "from jan_core.backend import Backend\nfrom jan_core.hookspecs import hookimpl\n"
        "class Pool(Backend):\n    name = 'jan-pool'\n"
        "@hookimpl\ndef provide_chat(settings, jan):\n    jan.backend(Pool)\n"
    )
    site.add("jan-chat-x", {"chat_x.py": code}, {"modules": {"chat-x": "chat_x"}})
    site.add("jan-pool", {}, {"backends": {"jan-pool": "chat_x:Pool"}}, requires=["jan-core>=0.2"])
    discovery = site.discovery('[endpoints]\nchat = "chat-x"\n')
    with pytest.raises(Refusal) as caught:
        Jan(discovery.config, discovery)
    facts = caught.value.facts()
    assert facts["asked"].startswith("the backend 'jan-pool', for chat = 'chat-x' (")
    assert "line 2" in facts["asked"]
    assert facts["answers"].startswith("jan-pool 1.0, entry point jan-pool")


def test_what_is_not_chosen_may_have_been_built_for_anything(site: Site) -> None:
    site.add("jan-chat-x", {"chat_x.py": CODE}, {"modules": {"chat-x": "chat_x"}})
    site.add(
        "jan-chat-y", {"chat_y.py": "raise SystemError"}, {"modules": {"chat-y": "chat_y"}}, requires=["jan-core>9"]
    )
    discovery = site.discovery('[endpoints]\nchat = "chat-x"\nmodels = "models-memory"\n')
    assert list(Jan(discovery.config, discovery).endpoints)


@pytest.mark.parametrize(
    ("version", "fits"), [("0.2.0.dev1", True), ("0.9", True), ("1.0.0a1", False), ("0.0.9", False)]
)
def test_the_kernel_that_runs_counts(site: Site, monkeypatch: pytest.MonkeyPatch, version: str, fits: bool) -> None:
    monkeypatch.setattr(jan_core, "__version__", version)
    site.add("jan-chat-x", {"chat_x.py": CODE}, {"modules": {"chat-x": "chat_x"}})
    discovery = site.discovery('[endpoints]\nchat = "chat-x"\nmodels = "models-memory"\n')
    if fits:
        Jan(discovery.config, discovery)
        return
    with pytest.raises(Refusal, match=f"this is jan-core {version}"):
        Jan(discovery.config, discovery)


def test_the_code_and_the_metadata_have_one_version() -> None:
    told = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))
    assert told["project"]["version"] == jan_core.__version__


def test_all_our_packages_say_what_they_were_built_for() -> None:
    found = [
        one for folder in ("modules", "plugins", "backends") for one in REPOSITORY.glob(f"{folder}/*/pyproject.toml")
    ]
    found.append(REPOSITORY / "bundle" / "pyproject.toml")
    assert len(found) > 15
    for path in found:
        requires = tomllib.loads(path.read_text("utf-8"))["project"]["dependencies"]
        assert "jan-core>=0.1,<1" in requires, path


def test_a_start_on_our_packages_does_not_wait_for_packaging(tmp_path: Path) -> None:
    script = (
        "import sys\nfrom pathlib import Path\nfrom jan_core.app import Jan\nfrom jan_core.config import load\n"
        f"jan = Jan(load(Path({str(tmp_path)!r}), environ={{}}))\n"
        "assert len(jan.modules) > 5\nassert not [one for one in sys.modules if one.startswith('packaging')]\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def test_what_is_told_of_a_package(site: Site) -> None:
    assert versions.told(None) is None
    assert versions.told(distribution(site, "jan-core>=0.1,<1")) == ">=0.1,<1"


def test_no_clause_came_with_a_version_that_there_is_not() -> None:
    clauses = [one for entry in entry_points(group="jan.contracts") for one in entry.load().clauses().values()]
    assert len(clauses) > 150
    assert not [one.name for one in clauses if Version(one.since) > Version(jan_core.__version__)]


def test_what_an_installed_module_declares_is_looked_at_in_its_contract_too(tmp_path: Path, site: Site) -> None:
    """As `jan check` and an author's tests build it."""
    code = "from jan_core.testing.memory_messages import provide_messages\n"
    files, entries = {"mine.py": code}, {"modules": {"messages-mine": "mine"}}
    site.add("jan-messages-mine", files, entries, requires=["jan-core>=0.1"])
    with_dist = one_module(tmp_path / "a", "messages", "messages-mine")
    (own,) = [chosen for chosen, _ in with_dist.modules if chosen.name == "messages-mine"]
    assert own.installed.distribution == "jan-messages-mine 1.0"
    case = Case(lambda root: one_module(root, "messages", "messages-mine"), "messages", tmp_path / "b")
    assert not case.built_before("0.2")  # it is not built yet

    async def look() -> tuple[bool, bool]:
        async with case:
            return case.built_before("0.1"), case.built_before("0.2")

    assert asyncio.run(look()) == (False, True)


REQUIRED = {
    "assistants": {"create", "delete", "layers", "list", "put", "retrieve", "update"},
    "chat": {"create_stream"},
    "completions": {"create_stream"},
    "embeddings": {"create"},
    "engines": {"list", "load", "unload"},
    "messages": {"clear", "create", "delete", "list", "put", "retrieve", "start", "update"},
    "models": {"list", "locate", "retrieve"},
    "threads": {"check", "create", "delete", "deleted", "forget", "layers", "list", "put", "retrieve", "update"},
}
"""The operations that an implementation has to have since 0.1. One more is a major release."""
HOOKS = {
    "settings_model": set(),
    "wrap_every": {"settings", "jan", "endpoint"},
    "asgi_wrapper": {"settings", "jan"},
    "authenticates": {"settings", "jan"},
    "register_routes": {"settings", "jan"},
    "register_commands": set(),
    "doctor_checks": {"settings", "jan"},
}


def test_no_minor_release_asks_more_of_an_implementation() -> None:
    classes = {entry.name: entry.load() for entry in entry_points(group="jan.endpoints")}
    for name, operations in REQUIRED.items():
        assert classes[name].__abstractmethods__ <= operations, f"{name}: see docs/versions.md"
        assert operations <= set(classes[name].operations())


def test_no_minor_release_takes_a_hook_or_its_arguments_away() -> None:
    specs = {name: one for name, one in vars(hookspecs).items() if hasattr(one, "jan_spec")}
    found = {name: set(inspect.signature(one).parameters) for name, one in specs.items()}
    for name, arguments in HOOKS.items():
        assert arguments <= found[name], f"{name}: see docs/versions.md"
