"""What is installed is read without importing it, whatever it is; see `tests/unchosen.py` for what lies there."""

from __future__ import annotations

import http.client
import json
from importlib.metadata import EntryPoint, distributions
from pathlib import Path

import pytest

from jan_core.installed import UNKNOWN, Installed, declared, listed, named
from tests import unchosen
from tests.command_line import POSIX, end, root_with, start, until
from tests.parts import Site

CONFIG = '[endpoints]\nmodels = "models-json"\nchat = "chat-llamacpp"\n'


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """200 packages that nobody chose, and some more whose metadata are broken."""
    folder = tmp_path_factory.mktemp("site")
    unchosen.install(folder)
    unchosen.broken(folder)
    return Site(folder)


@pytest.mark.parametrize(
    "command", [["modules", "--json"], ["doctor"], ["config", "show"], ["plugins", "--help"], ["--help"]], ids=" ".join
)
def test_no_command_imports_what_nobody_chose(site: Site, tmp_path: Path, command: list[str]) -> None:
    root = root_with(tmp_path / "root", CONFIG)
    rooted = [] if "--help" in command else ["--root", root]
    done = end(start(*command, *rooted, site=site))
    if command == ["doctor"]:  # an empty root has no model
        wrong = [line.split("  ")[1] for line in done.out.splitlines() if line.startswith("WRONG")]
        assert wrong == ["models-json: a model is installed"]
    else:
        assert done.code == 0, done
    assert unchosen.imported(site.folder) == []
    if command[0] == "modules":
        found = json.loads(done.out)["packages"]
        states = {one["name"]: (one["kind"], one["state"], one["distribution"]) for one in found}
        for number in range(unchosen.COUNT):
            kind = unchosen.GROUPS[number % len(unchosen.GROUPS)].removesuffix("s")
            assert states[f"unchosen-{number}"] == (kind, "installed", f"jan-unchosen-{number} 1.{number}")
        assert states["chat-llamacpp"][1] == "chosen"
        assert [one["distribution"] for one in found if one["name"] == "twice"] == ["t0 1.0", "t1 1.0"] * 4


@POSIX
def test_the_server_imports_nothing_that_nobody_chose(site: Site, tmp_path: Path) -> None:
    root = root_with(tmp_path / "root", CONFIG)
    process = start("serve", "--root", root, "--port", "0", site=site)
    port = int(until(process, "/v1 ").split("/v1")[0].rpartition(":")[2])
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", "/v1/models")
    assert connection.getresponse().status == 200
    connection.close()
    process.terminate()
    assert end(process).code == 0
    assert unchosen.imported(site.folder) == []


def test_the_canary_sings_where_it_is_imported(site: Site, tmp_path: Path) -> None:
    folder = tmp_path / "site"
    unchosen.install(folder, 1)
    done = end(
        start(
            "modules", "--root", root_with(tmp_path / "root", '[endpoints]\nchat = "unchosen-0"\n'), site=Site(folder)
        )
    )
    assert done.code == 1
    assert "nobody chose this package" in done.out
    assert unchosen.imported(folder) == ["jan_unchosen_0"]


def test_one_name_in_two_packages_is_refused_only_where_it_is_chosen(site: Site, tmp_path: Path) -> None:
    root = root_with(tmp_path / "root", CONFIG + '[plugins]\nuse = ["twice"]\n')
    done = end(start("serve", "--root", root, "--port", "0", site=site))
    assert done.code == 2
    assert "2 installed packages offer the plugin 'twice'" in done.err
    assert unchosen.imported(site.folder) == []


def test_what_is_broken_is_passed_over_and_the_rest_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unchosen.broken(tmp_path / "broken")
    unchosen.install(tmp_path / "good", 4)
    for folder in ("good", "broken"):
        monkeypatch.syspath_prepend(tmp_path / folder)
    names = [entry.name for entry in declared()]
    assert {f"unchosen-{number}" for number in range(4)} < set(names)
    assert names.count("twice") == 2 * len(unchosen.GROUPS)
    assert "chat-lonely" not in names


def test_a_package_that_another_one_hides_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    metadata = "Metadata-Version: 2.4\nName: Jan.Hidden\nVersion: {}\n\n"
    for folder, version in (("later", 1), ("first", 2)):
        about = tmp_path / folder / f"jan_hidden-{version}.dist-info"
        about.mkdir(parents=True)
        (about / "METADATA").write_text(metadata.format(version))
        (about / "entry_points.txt").write_text(f"[jan.modules]\nchat-hidden-{folder} = x\n")
        monkeypatch.syspath_prepend(tmp_path / folder)
    found = listed("modules", [entry for entry in declared() if entry.name.startswith("chat-hidden")])
    assert [(one.name, one.distribution) for one in found] == [("chat-hidden-first", "Jan.Hidden 2")]


def test_names_are_those_that_the_library_reads() -> None:
    found = list(distributions())
    assert len(found) > 10
    for dist in found:
        assert named(dist) == f"{dist.name} {dist.version}"


def test_an_entry_point_of_no_package_says_so() -> None:
    one = Installed("modules", "chat-x", EntryPoint("chat-x", "chat_x", "jan.modules"))
    assert one.distribution == UNKNOWN
    assert one.answers == f"{UNKNOWN}, entry point chat-x = chat_x (group jan.modules)"
