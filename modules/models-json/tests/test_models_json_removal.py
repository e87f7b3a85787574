from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from jan_models_json.removal import DELETED, clean, remove_folder
from jan_models_json.store import ModelsJson

from jan_core.errors import Conflict, ModelNotFound, NotSupported

pytestmark = pytest.mark.anyio
Write = Callable[..., Path]


def tree(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


async def test_a_folder(models: ModelsJson, models_folder: Path, write_gguf: Write, describe: Write) -> None:
    write_gguf("m1/a.gguf")
    describe("m1", owned_by="x")
    write_gguf("m2/a.gguf")
    assert (await models.delete("m1")).model_dump() == {"id": "m1", "object": "model", "deleted": True}
    assert [model.id for model in (await models.list()).data] == ["m2"]
    assert tree(models_folder) == ["m2", os.path.join("m2", "a.gguf")]
    for model in ("m1", "m2:x", "owner/m2"):
        with pytest.raises(ModelNotFound):
            await models.delete(model)


async def test_one_quantization(models: ModelsJson, models_folder: Path, write_gguf: Write) -> None:
    for name in ("a", "b-00001-of-00002", "b-00002-of-00002", "c"):
        write_gguf(f"m1/{name}.gguf")
    await models.delete("m1:b")
    assert tree(models_folder / "m1") == ["a.gguf", "c.gguf"]
    await models.delete("m1:a")
    assert [model.id for model in (await models.list()).data] == ["m1"]
    assert tree(models_folder / "m1") == ["c.gguf"]


async def test_the_source_that_model_json_names_is_kept(
    models: ModelsJson, models_folder: Path, write_gguf: Write, describe: Write
) -> None:
    write_gguf("m1/a.gguf")
    write_gguf("m1/b.gguf")
    describe("m1", source=[{"filename": "b.gguf"}])
    with pytest.raises(NotSupported, match="first source"):
        await models.delete("m1:b")
    await models.delete("m1:a")
    assert tree(models_folder / "m1") == ["b.gguf", "model.json"]


async def test_damaged_models_can_go(models: ModelsJson, models_folder: Path, write_gguf: Write) -> None:
    write_gguf("m1/a.gguf").write_bytes(b"")
    (models_folder / "m2").mkdir()
    (models_folder / "m2/model.json").write_bytes(b"{")
    await models.delete("m1")
    await models.delete("m2")
    assert tree(models_folder) == []


async def test_links_go_and_their_targets_stay(
    models: ModelsJson, models_folder: Path, tmp_path: Path, write_gguf: Write
) -> None:
    outside = tmp_path / "outside"
    write_gguf("m0/a.gguf")
    write_gguf("m0/b.gguf")
    os.rename(models_folder / "m0", outside)
    (models_folder / "linked").symlink_to(outside)
    (models_folder / "files").mkdir()
    for name in ("a.gguf", "b.gguf"):
        (models_folder / "files" / name).symlink_to(outside / name)
    (models_folder / "files" / "more").symlink_to(outside)
    before = tree(outside)
    assert [m.id for m in (await models.list()).data] == ["files", "files:b", "linked", "linked:b"]
    with pytest.raises(NotSupported, match="is a link"):
        await models.delete("linked:b")
    for model in ("files:b", "files", "linked"):
        await models.delete(model)
    assert tree(models_folder) == []
    assert tree(outside) == before


async def test_leftovers_are_not_seen_and_go_at_the_next_start(
    models_folder: Path, tmp_path: Path, write_gguf: Write
) -> None:
    kept = write_gguf("m1/a.gguf")
    leftover = write_gguf(f"{DELETED}0123/a.gguf").parent
    (leftover / "link").symlink_to(kept.parent)
    (models_folder / f"{DELETED}4567").symlink_to(kept.parent)
    unentered = ModelsJson(models_folder)
    assert [model.id for model in (await unentered.list()).data] == ["m1"]
    async with ModelsJson(models_folder) as models:
        assert leftover.name not in os.listdir(models_folder)
        assert [model.id for model in (await models.list()).data] == ["m1"]
    assert tree(kept.parent) == ["a.gguf"]


async def test_a_deletion_that_stops_half_way_has_deleted(
    models_folder: Path, write_gguf: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_gguf("m1/a.gguf")

    def stop(path: str, ignore_errors: bool) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("shutil.rmtree", stop)
    with pytest.raises(KeyboardInterrupt):
        remove_folder(str(models_folder / "m1"))
    monkeypatch.undo()
    assert [name.startswith(DELETED) for name in os.listdir(models_folder)] == [True]
    clean(str(models_folder))
    assert tree(models_folder) == []
    clean(str(models_folder / "gone"))


@pytest.mark.skipif(sys.platform == "win32", reason="Windows refuses this in another way")
async def test_what_the_system_refuses_is_said(
    models: ModelsJson, models_folder: Path, write_gguf: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_gguf("m1/a.gguf")

    def refuse(old: str, new: str) -> None:
        raise PermissionError(13, "Permission denied", old)

    monkeypatch.setattr(os, "rename", refuse)
    with pytest.raises(Conflict, match=r"`m1` was not deleted: .*m1: Permission denied"):
        await models.delete("m1")
    assert (await models.retrieve("m1")).id == "m1"
