from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from jan_code import installing
from jan_code.installing import Failed, install, requirements
from jan_code.source import find, packages_in

from jan_core.errors import Conflict, InvalidRequest, NotFound
from jan_core.folder import lock_file
from jan_core.folder.layout import Layout
from jan_core.refusal import Refusal

from .wheels import add_wheel

UV = Path(sys.executable).parent / ("uv.exe" if sys.platform == "win32" else "uv")
POSIX = pytest.mark.skipif(sys.platform == "win32", reason="programs for the tests are shell scripts")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of an assistant `a`."""
    made = tmp_path / "assistants" / "a"
    (made / "src").mkdir(parents=True)
    return made


@pytest.fixture
def bin_(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of programs, before which nothing but the system's own is found."""
    made = tmp_path / "bin"
    made.mkdir()
    monkeypatch.setenv("PATH", os.pathsep.join([str(made), "/usr/bin", "/bin"]))
    return made


@pytest.fixture(params=["uv", "pip"])
def wheels(request: pytest.FixtureRequest, bin_: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of wheels that is all that uv, or pip where there is no uv, installs from."""
    made = tmp_path / "wheels"
    add_wheel(made, "fruit", "1.2", "import stone\ndef main(): print('fruit', stone.KIND)\n", ["stone>=2"])
    add_wheel(made, "stone", "2.0", "KIND = 'peach'\n")
    (tmp_path / "uv.toml").write_text(f"no-index = true\nfind-links = [{str(made)!r}]\n")
    monkeypatch.setenv("UV_CONFIG_FILE", str(tmp_path / "uv.toml"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(made))
    monkeypatch.setenv("PIP_TARGET", str(tmp_path / "elsewhere"))
    if request.param == "uv":
        (bin_ / UV.name).symlink_to(UV)
    elif shutil.which("uv"):
        pytest.skip("the system has a uv of its own")
    return made


def wants(folder: Path, *listed: str, more: str = "") -> Path:
    path = folder / "src" / "pyproject.toml"
    path.write_text(f"[project]\nname = 'a'\nversion = '0'\ndependencies = {list(listed)!r}\n{more}")
    return path


def installed(tmp_path: Path, *, build: bool = False) -> list[str]:
    return list(install(Layout(tmp_path), "a", build=build))


def left(folder: Path) -> set[str]:
    return {one.name for one in folder.iterdir()}


class TestPython:
    def test_what_is_asked_for_is_there_with_what_it_needs(self, tmp_path: Path, folder: Path, wheels: Path) -> None:
        wants(folder, "fruit >= 1")
        assert installed(tmp_path) == ["a has 2 packages for Python: fruit 1.2, stone 2.0."]
        assert left(folder) == {"src", ".venv"}
        (folder / "src" / "index.py").write_text("import fruit\n")
        source = find(Layout(tmp_path), "a")
        assert source is not None
        assert source.packages == packages_in(str(folder / ".venv"))
        if sys.platform != "win32":
            done = subprocess.run([folder / ".venv/bin/fruit"], capture_output=True, text=True, check=True)
            assert done.stdout == "fruit peach\n"

    def test_it_is_made_anew_and_the_code_is_loaded_anew(self, tmp_path: Path, folder: Path, wheels: Path) -> None:
        (folder / "src" / "index.py").write_text("x = 1\n")
        wants(folder, "fruit")
        installed(tmp_path)
        before = find(Layout(tmp_path), "a")
        wants(folder)
        assert installed(tmp_path) == ["a has 0 packages for Python, for it asks for none."]
        after = find(Layout(tmp_path), "a")
        assert before is not None
        assert after is not None
        assert before.signatures != after.signatures

    @pytest.mark.parametrize("asked", ["nowhere", "fruit>=9", "heavy"])
    def test_what_cannot_be_installed_leaves_what_was_there(
        self, tmp_path: Path, folder: Path, wheels: Path, asked: str
    ) -> None:
        shutil.make_archive(str(wheels / "heavy-1.0"), "gztar", wheels, "fruit-1.2-py3-none-any.whl")
        wants(folder, "fruit")
        installed(tmp_path)
        wants(folder, "fruit", asked)
        with pytest.raises(Failed, match="could not be installed .exit status 1.; see above. .* a --build") as error:
            installed(tmp_path)
        assert asked in error.value.message
        assert left(folder) == {"src", ".venv"}
        assert os.path.exists(os.path.join(packages_in(str(folder / ".venv")), "fruit.py"))

    def test_what_must_be_built_is_built_only_where_that_is_asked_for(
        self, tmp_path: Path, folder: Path, wheels: Path
    ) -> None:
        built = tmp_path / "built"
        tree = tmp_path / "own-1.0"
        tree.mkdir()
        (tree / "pyproject.toml").write_text(
            "[build-system]\nrequires = []\nbuild-backend = 'build'\nbackend-path = ['.']\n"
            "[project]\nname = 'own'\nversion = '1.0'\n"
        )
        (tree / "build.py").write_text(f"open({str(built)!r}, 'w').close()\nraise SystemExit('as the test wants it')\n")
        (tree / "PKG-INFO").write_text("Metadata-Version: 2.1\nName: own\nVersion: 1.0\n")
        shutil.make_archive(str(wheels / "own-1.0"), "gztar", tmp_path, "own-1.0")
        wants(folder, "own")
        with pytest.raises(Failed):
            installed(tmp_path)
        assert not built.exists()
        with pytest.raises(Failed) as error:
            installed(tmp_path, build=True)
        assert built.exists()
        assert "--build" not in error.value.message

    @pytest.mark.parametrize("inside", [False, True])
    def test_no_code_of_a_package_that_is_named_by_address_runs(
        self, tmp_path: Path, folder: Path, wheels: Path, inside: bool
    ) -> None:
        ran, evil = tmp_path / "ran", tmp_path / "evil"
        evil.mkdir()
        (evil / "pyproject.toml").write_text(
            "[build-system]\nrequires = []\nbuild-backend = 'build'\nbackend-path = ['.']\n"
            "[project]\nname = 'evil'\nversion = '1'\n"
        )
        (evil / "build.py").write_text(f"open({str(ran)!r}, 'w').close()\n")
        asked = f"evil @ {evil.as_uri()}"
        if inside:
            add_wheel(wheels, "bag", "1", "", [asked])
            asked = "bag"
        wants(folder, asked)
        with pytest.raises(Failed, match="a --build"):
            installed(tmp_path)
        assert not ran.exists()
        assert left(folder) == {"src"}

    def test_a_wheel_that_is_named_by_address_is_installed(self, tmp_path: Path, folder: Path, wheels: Path) -> None:
        wants(folder, f"stone @ {(wheels / 'stone-2.0-py3-none-any.whl').as_uri()}")
        assert installed(tmp_path) == ["a has 1 package for Python: stone 2.0."]

    def test_a_link_in_its_place_is_taken_away_and_not_followed(
        self, tmp_path: Path, folder: Path, wheels: Path
    ) -> None:
        other = tmp_path / "other"
        other.mkdir()
        (other / "kept").touch()
        (folder / ".venv").symlink_to(other, target_is_directory=True)
        wants(folder)
        installed(tmp_path)
        assert left(other) == {"kept"}
        assert not (folder / ".venv").is_symlink()

    @POSIX
    def test_ctrl_c_ends_the_installer_and_leaves_what_was_there(
        self, tmp_path: Path, folder: Path, bin_: Path
    ) -> None:
        (bin_ / "uv").write_text("#!/bin/sh\n(exec sleep 1000) &\necho begun\nwait\n")
        (bin_ / "uv").chmod(0o755)
        (folder / ".venv").mkdir()
        wants(folder, "fruit")
        command = [sys.executable, "-m", "jan_core.cli", "assistants", "install", "a", "--root", str(tmp_path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            assert process.stderr is not None
            while process.stderr.readline() != "begun\n":
                assert process.poll() is None
            process.send_signal(signal.SIGINT)
            out, told = process.communicate(timeout=60)  # at its end nobody holds its output, also no program of uv's
        assert (process.returncode, out, told) == (130, "", "\njan: stopped; the assistant has what it had before\n")
        assert left(folder) == {"src", ".venv"}

    @POSIX
    def test_ctrl_c_while_the_installer_starts_waits_until_it_is_known(self) -> None:
        reached = []

        def begin() -> None:
            with installing._no_interrupt():
                os.kill(os.getpid(), signal.SIGINT)
                reached.append("the end")

        with pytest.raises(KeyboardInterrupt):
            begin()
        assert reached == ["the end"]


class TestNode:
    @POSIX
    def test_npm_installs_beside_and_no_script_runs_unless_asked_for(
        self, tmp_path: Path, folder: Path, bin_: Path
    ) -> None:
        (bin_ / "npm").write_text(
            '#!/bin/sh\necho "$@" >>$0.asked\nmkdir -p node_modules/fruit node_modules/@of/tree\n'
            "echo {} >package-lock.json\n"
        )
        (bin_ / "npm").chmod(0o755)
        (folder / "src" / "package.json").write_text(json.dumps({"dependencies": {"fruit": "1"}}))
        (folder / "src" / "node_modules" / "old").mkdir(parents=True)
        assert installed(tmp_path) == ["a has 2 packages for Node."]
        assert left(folder) == {"src"}
        assert left(folder / "src") == {"package.json", "package-lock.json", "node_modules"}
        assert left(folder / "src" / "node_modules") == {"fruit", "@of"}
        installed(tmp_path, build=True)
        asked = (bin_ / "npm.asked").read_text().splitlines()
        assert ["--ignore-scripts" in line for line in asked] == [True, False]

    @POSIX
    def test_what_npm_cannot_leaves_what_was_there(self, tmp_path: Path, folder: Path, bin_: Path) -> None:
        (bin_ / "npm").write_text("#!/bin/sh\nmkdir node_modules\nexit 3\n")
        (bin_ / "npm").chmod(0o755)
        (folder / "src" / "package.json").write_text("{}")
        (folder / "src" / "node_modules" / "old").mkdir(parents=True)
        with pytest.raises(Failed, match=r"package\.json asks for could not be installed .exit status 3."):
            installed(tmp_path)
        assert left(folder / "src" / "node_modules") == {"old"}
        assert left(folder) == {"src"}

    def test_without_npm(self, tmp_path: Path, folder: Path, bin_: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (folder / "src" / "package.json").write_text("{}")
        monkeypatch.setenv("PATH", str(bin_))
        with pytest.raises(Refusal) as error:
            installed(tmp_path)
        assert "npm" in error.value.cause
        assert "Node.js" in error.value.remedy


class TestAsked:
    @pytest.mark.parametrize(
        ("text", "why"),
        [
            ("[project", "is no TOML: "),
            ("x = 1", r"has no table \[project\]"),
            ("[project]\ndependencies = 'fruit'", "must have a list of texts as `dependencies`"),
            ("[project]\ndependencies = [1]", "must have a list of texts as `dependencies`"),
            ("[project]\ndynamic = ['dependencies']", "lists its `dependencies` as dynamic"),
            ("[project]\ndependencies = ['--index-url=x']", "has '--index-url=x' in `dependencies`: "),
            ("[project]\nrequires-python = '>=4'", r"wants Python >=4, and Jan runs with 3\."),
            ("[project]\nrequires-python = 'new'", "has 'new' as `requires-python`, which is no range of versions"),
            ("[project]\nrequires-python = 3", "has 3 as `requires-python`, which is no range of versions"),
        ],
    )
    def test_what_cannot_be_understood(self, tmp_path: Path, folder: Path, text: str, why: str) -> None:
        path = wants(folder)
        path.write_text(text)
        with pytest.raises(InvalidRequest, match=why) as error:
            installed(tmp_path)
        assert error.value.message.startswith(str(path))
        assert error.value.code == "invalid_project"
        assert left(folder) == {"src"}

    def test_requirements(self, folder: Path) -> None:
        assert requirements(str(wants(folder, "fruit[big]>1; python_version>'3'", "b"))) == [
            "fruit[big]>1; python_version>'3'",
            "b",
        ]
        path = folder / "pyproject.toml"
        path.write_text("[project]\n")
        assert requirements(str(path)) == []

    def test_nothing_is_asked_for(self, tmp_path: Path, folder: Path) -> None:
        with pytest.raises(InvalidRequest, match=r"neither a pyproject\.toml nor a package\.json"):
            installed(tmp_path)
        with pytest.raises(NotFound, match="There is no assistant 'b'"):
            list(install(Layout(tmp_path), "b"))
        with pytest.raises(InvalidRequest, match="cannot be a name"):
            list(install(Layout(tmp_path), "../a"))

    def test_a_link_that_leads_out_is_refused(self, tmp_path: Path, folder: Path) -> None:
        wants(folder).rename(tmp_path / "pyproject.toml")
        (folder / "src" / "pyproject.toml").symlink_to(tmp_path / "pyproject.toml")
        with pytest.raises(InvalidRequest, match="leads out of"):
            installed(tmp_path)

    def test_one_at_a_time_and_what_a_killed_one_left_goes(self, tmp_path: Path, folder: Path) -> None:
        wants(folder)
        (folder / ".new-killed").mkdir()
        (folder / "src" / ".old-killed").mkdir()
        with lock_file.hold(folder / installing._LOCK), pytest.raises(Conflict, match="just now"):
            installed(tmp_path)
        installed(tmp_path)
        assert left(folder) == {"src", ".venv"}
        assert left(folder / "src") == {"pyproject.toml"}
