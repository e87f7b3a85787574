from __future__ import annotations

import pytest

from jan_core import commands as kernel
from jan_core.config import Config
from jan_core.refusal import Refusal
from tests.parts import Site

WITH = (
    "from jan_core.hookspecs import hookimpl\n@hookimpl\ndef register_commands(): return {'NAME': 'jan_db.cli:app'}\n"
)


@pytest.fixture
def names(site: Site) -> Site:
    """Packages with commands, in the environment as it is: `jan` looks there."""
    for name in ("keys", "db", "unchosen"):
        site.add(f"jan-{name}", {f"jan_{name}.py": WITH.replace("NAME", name)}, {"plugins": {name: f"jan_{name}"}})
    site.add("jan-broken", {"jan_broken.py": "1 / 0"}, {"plugins": {"broken": "jan_broken"}})
    odd = WITH.replace("{'NAME': 'jan_db.cli:app'}", "['keys']")
    site.add("jan-odd", {"jan_odd.py": odd}, {"plugins": {"odd": "jan_odd"}})
    return site


def chosen(site: Site, *plugins: str) -> Config:
    return site.config(f"[endpoints]\nchat = []\nmodels = []\nruns = []\n[plugins]\nuse = {list(plugins)!r}\n")


def test_chosen_packages_add_their_commands(names: Site) -> None:
    assert kernel.commands(chosen(names, "keys", "db")) == {
        "keys": ("jan_db.cli:app", "From jan-keys 1.0."),
        "db": ("jan_db.cli:app", "From jan-db 1.0."),
    }
    assert kernel.commands(chosen(names)) == {}


@pytest.mark.parametrize(
    ("broken", "cause"),
    [("broken", "ZeroDivisionError"), ("missing", "no plugin of that name is installed"), ("odd", "register_commands")],
)
def test_a_broken_package_costs_only_its_own_commands(
    names: Site, capsys: pytest.CaptureFixture[str], broken: str, cause: str
) -> None:
    assert [*kernel.commands(chosen(names, broken, "keys"))] == ["keys"]
    told = capsys.readouterr().err
    assert told.startswith(f"note: {broken} adds no commands:")
    assert cause in told
    assert len(told.splitlines()) == 1


def test_a_config_that_chooses_nonsense_is_refused(names: Site) -> None:
    with pytest.raises(Refusal, match="there is no such endpoint"):
        kernel.commands(names.config("[endpoints]\nchta = 'x'\n"))


def test_what_packages_add_to_a_command_of_the_kernel(names: Site) -> None:
    for name in ("one", "two"):
        hook = WITH.replace("NAME", "assistants").replace("jan_db", f"jan_{name}")
        site = {f"jan_{name}.py": hook}
        names.add(f"jan-{name}", site, {"plugins": {name: f"jan_{name}"}})
    assert kernel.additions(chosen(names, "two", "keys", "one"), "assistants") == ["jan_two.cli:app", "jan_one.cli:app"]
    assert kernel.additions(chosen(names, "keys"), "assistants") == []
