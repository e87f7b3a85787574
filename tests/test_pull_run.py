from __future__ import annotations

import hashlib
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from jan_core.pull import PullError, PullStopped, pull
from tests.pull_server import GGUF, FileServer, Served, Steps

RIGHT = hashlib.sha256(GGUF).hexdigest()
OTHER = GGUF + b"other"
NAME = "/Tiny-Model.Q4_1.gguf"


@pytest.fixture
def server() -> Iterator[FileServer]:
    with FileServer() as running:
        running.files[NAME] = Served()
        yield running


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "root"


@pytest.fixture
def original(tmp_path: Path) -> Path:
    path = tmp_path / "Tiny-Model.Q4_1.gguf"
    path.write_bytes(GGUF)
    return path


def about(root: Path, model: str = "tiny-model") -> dict[str, object]:
    found = json.loads((root / "models" / model / "model.json").read_text())
    assert isinstance(found, dict)
    return found


def downloads(root: Path) -> list[str]:
    return sorted(path.suffix for path in (root / "models" / ".downloads").iterdir())


def test_a_model_from_the_web(root: Path, server: FileServer) -> None:
    pulled = pull(root, server.url(NAME), progress=Steps())
    assert (pulled.id, pulled.sha256, pulled.size, pulled.already) == ("tiny-model", RIGHT, len(GGUF), False)
    assert pulled.path == root / "models" / "tiny-model" / "Tiny-Model.Q4_1.gguf"
    assert pulled.path.read_bytes() == GGUF
    found = about(root)
    assert isinstance(found.pop("created"), int)
    assert found == {
        "id": "tiny-model",
        "object": "model",
        "owned_by": "127.0.0.1",
        "name": "Tiny-Model",
        "engine": "llamacpp",
        "source": [{"filename": "Tiny-Model.Q4_1.gguf", "url": server.url(NAME), "sha256": RIGHT}],
        "settings": {},
        "parameters": {},
        "metadata": {},
    }
    assert downloads(root) == []


def test_again_asks_nobody(root: Path, server: FileServer) -> None:
    first = pull(root, server.url(NAME), progress=Steps())
    again = pull(root, server.url(NAME), sha256=RIGHT.upper(), progress=Steps())
    assert again.already
    assert (again.id, again.path, again.sha256) == (first.id, first.path, first.sha256)
    assert len(server.asked) == 1


def test_again_with_another_hash_or_name_asks(root: Path, server: FileServer) -> None:
    pull(root, server.url(NAME), progress=Steps())
    with pytest.raises(PullError, match="wrong hash"):
        pull(root, server.url(NAME), sha256="0" * 64, progress=Steps())
    assert pull(root, server.url(NAME), name="mine", progress=Steps()).path.parent.name == "mine"
    assert len(server.asked) == 3


def test_a_deleted_file_is_pulled_again(root: Path, server: FileServer) -> None:
    pull(root, server.url(NAME), progress=Steps()).path.unlink()
    assert not pull(root, server.url(NAME), progress=Steps()).already
    assert len(about(root)["source"]) == 1  # type: ignore[arg-type]


def test_a_changed_file_is_not_overwritten(root: Path, server: FileServer) -> None:
    path = pull(root, server.url(NAME), progress=Steps()).path
    path.write_bytes(OTHER)
    with pytest.raises(PullError, match="not what was pulled any more"):
        pull(root, server.url(NAME), progress=Steps())
    assert path.read_bytes() == OTHER


def test_another_quantization_goes_beside_it(root: Path, server: FileServer) -> None:
    server.files["/Tiny-Model.Q8_0.gguf"] = Served(OTHER)
    one = pull(root, server.url(NAME), progress=Steps())
    two = pull(root, server.url("/Tiny-Model.Q8_0.gguf"), progress=Steps())
    assert one.id == two.id
    assert [entry["filename"] for entry in about(root)["source"]] == [one.path.name, two.path.name]  # type: ignore[attr-defined]


def test_one_name_from_two_places_is_refused(root: Path, server: FileServer, original: Path) -> None:
    path = pull(root, server.url(NAME), progress=Steps()).path
    original.write_bytes(OTHER)
    with pytest.raises(PullError, match=r"from somewhere else.*jan models rm tiny-model"):
        pull(root, str(original), progress=Steps())
    assert path.read_bytes() == GGUF


def test_ctrl_c_keeps_what_is_there(root: Path, server: FileServer) -> None:
    def press(label: str) -> None:
        signal.raise_signal(signal.SIGINT)

    with pytest.raises(PullStopped, match=r"Stopped\. .* of 512\.0 kB are kept: the same command goes on"):
        pull(root, server.url(NAME), progress=Steps(press))
    assert downloads(root) == [".json", ".part"]
    assert list(root.rglob("*.gguf")) == []
    assert pull(root, server.url(NAME), progress=Steps()).sha256 == RIGHT
    assert server.ranges()[1] is not None
    assert downloads(root) == []


def test_two_at_once(root: Path, server: FileServer) -> None:
    said: list[str] = []

    def second(label: str) -> None:
        if not said:
            with pytest.raises(PullError) as caught:
                pull(root, server.url(NAME), progress=Steps())
            said.append(caught.value.message)

    pull(root, server.url(NAME), progress=Steps(second))
    assert said == [f"{server.url(NAME)} is being pulled by another command. Wait for it, or stop it."]


def test_a_secret_in_the_address_is_nowhere_on_the_disk(root: Path, server: FileServer) -> None:
    server.files[NAME].cuts = [1000]
    url = f"http://me:hunter2@127.0.0.1:{server.port}{NAME}?token=hunter2&rev=1"

    def look(label: str) -> None:
        for path in root.rglob("*"):
            assert path.is_dir() or b"hunter2" not in path.read_bytes()

    pull(root, url, progress=Steps(look))
    look("")
    assert about(root)["source"][0]["url"] == server.url(f"{NAME}?rev=1")  # type: ignore[index]


def test_a_file_of_this_disk_is_linked(root: Path, original: Path) -> None:
    before = original.stat()
    pulled = pull(root, str(original), sha256=RIGHT, progress=Steps())
    assert pulled.path.is_symlink()
    assert pulled.path.resolve() == original.resolve()
    assert original.stat() == before
    assert about(root)["source"][0] == {"filename": original.name, "url": original.as_uri(), "sha256": RIGHT}  # type: ignore[index]
    assert pull(root, str(original), progress=Steps()).already


def test_a_linked_file_that_grew_is_read_anew(root: Path, original: Path) -> None:
    pull(root, str(original), progress=Steps())
    original.write_bytes(OTHER)
    pulled = pull(root, str(original), progress=Steps())
    assert pulled.sha256 == hashlib.sha256(OTHER).hexdigest()
    assert [entry["sha256"] for entry in about(root)["source"]] == [pulled.sha256]  # type: ignore[attr-defined]


def test_a_file_that_is_in_the_root_already(root: Path) -> None:
    path = root / "models" / "tiny-model" / "Tiny-Model.Q4_1.gguf"
    path.parent.mkdir(parents=True)
    path.write_bytes(GGUF)
    assert pull(root, str(path), progress=Steps()).path == path
    assert not path.is_symlink()
    assert path.read_bytes() == GGUF


def test_a_local_file_that_is_no_model(root: Path, original: Path) -> None:
    original.write_bytes(b"PK\x03\x04")
    with pytest.raises(PullError, match="no GGUF file"):
        pull(root, str(original), progress=Steps())
    original.write_bytes(GGUF)
    with pytest.raises(PullError, match="was asked for"):
        pull(root, str(original), sha256="0" * 64, progress=Steps())
    assert list(root.rglob("*.gguf")) == []


@pytest.mark.parametrize("name", ["../x", "a/b", "", ".hidden", "CON", "a:b", "x" * 129, "ä"])
def test_a_bad_name(root: Path, server: FileServer, name: str) -> None:
    with pytest.raises(PullError, match="cannot be a name"):
        pull(root, server.url(NAME), name=name, progress=Steps())
    assert server.asked == []
    assert not root.exists()


@pytest.mark.parametrize("sha256", ["", "abc", "g" * 64, "0" * 63])
def test_a_bad_hash(root: Path, server: FileServer, sha256: str) -> None:
    with pytest.raises(PullError, match="64 hexadecimal digits"):
        pull(root, server.url(NAME), sha256=sha256, progress=Steps())
    assert server.asked == []


def test_a_root_that_cannot_be_written(tmp_path: Path, server: FileServer) -> None:
    (tmp_path / "root").write_text("a file")
    with pytest.raises(PullError, match="Check the disk"):
        pull(tmp_path / "root", server.url(NAME), progress=Steps())


def test_what_was_fetched_has_usual_permissions(root: Path, server: FileServer) -> None:
    path = pull(root, server.url(NAME), progress=Steps()).path
    if os.name == "posix":
        mask = os.umask(0)
        os.umask(mask)
        assert path.stat().st_mode & 0o777 == 0o666 & ~mask
