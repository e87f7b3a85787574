from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest
from jan_models_json.store import ModelsJson

from jan_core.errors import InvalidRequest, ModelNotFound, Unavailable

pytestmark = pytest.mark.anyio
Write = Callable[..., Path]
Opened = Callable[[], list[str]]


async def ids(models: ModelsJson) -> list[str]:
    return [model.id for model in (await models.list()).data]


async def test_no_folder_and_no_models(tmp_path: Path, models: ModelsJson) -> None:
    assert (await models.list()).model_dump() == {"object": "list", "data": []}
    async with ModelsJson(tmp_path / "gone" / "models") as nowhere:
        assert await ids(nowhere) == []
        with pytest.raises(ModelNotFound, match="jan models pull"):
            await nowhere.retrieve("x")


async def test_a_folder_that_cannot_be_read_is_an_answer(tmp_path: Path) -> None:
    (tmp_path / "models").write_bytes(b"")
    async with ModelsJson(tmp_path / "models") as models:
        with pytest.raises(Unavailable, match="models"):
            await models.list()


async def test_the_real_model(models: ModelsJson, models_folder: Path, smollm2_path: Path) -> None:
    folder = models_folder / "smollm2-135m-instruct"
    folder.mkdir()
    (folder / smollm2_path.name).symlink_to(smollm2_path)
    listed = (await models.list()).model_dump()["data"]
    stat = os.stat(smollm2_path)
    created = int(stat.st_mtime)
    expected = {"id": folder.name, "object": "model", "created": created, "owned_by": "HuggingFaceTB"}
    assert listed == [expected]
    assert (await models.retrieve(folder.name)).model_dump() == expected
    location = await models.locate(folder.name)
    assert (location.engine, location.mmproj, location.settings) == ("llamacpp", None, {})
    assert location.path == str(folder / smollm2_path.name)
    assert location.size == location.metadata["size"] == stat.st_size
    assert location.metadata["quantization"] == "Q4_1"
    assert location.metadata["context_length"] == 8192
    assert location.metadata["parameter_count"] == 134_515_008
    assert "message" in location.metadata["chat_template"]


async def test_model_json_says_more_than_the_header(models: ModelsJson, write_gguf: Write, describe: Write) -> None:
    write_gguf("m1/a.gguf", general__author="header")
    assert (await models.retrieve("m1")).owned_by == "header"
    settings, parameters = {"ctx_len": 512, "mine": [1]}, {"temperature": 0.5}
    describe("m1", created=1_700_000_000_000, metadata={"author": "me"}, settings=settings, parameters=parameters)
    found = await models.retrieve("m1")
    assert (found.created, found.owned_by) == (1_700_000_000, "me")
    describe("m1", owned_by="us", engine="other", metadata={"author": "me"}, settings=settings, parameters=parameters)
    assert (await models.retrieve("m1")).owned_by == "us"
    location = await models.locate("m1")
    assert (location.engine, location.settings, location.parameters) == ("other", settings, parameters)
    write_gguf("m2/a.gguf")
    assert (await models.retrieve("m2")).owned_by == "local"


async def test_quantizations_side_by_side(models: ModelsJson, write_gguf: Write, describe: Write) -> None:
    for name in ("Q4_K_M", "Q8_0", "F16"):
        write_gguf(f"m1/m.{name}.gguf")
    write_gguf("m2/only.gguf")
    assert await ids(models) == ["m1", "m1:m.Q4_K_M", "m1:m.Q8_0", "m2"]
    assert (await models.locate("m1")).path.endswith("m.F16.gguf")
    assert (await models.locate("m1:m.Q8_0")).path.endswith("m.Q8_0.gguf")
    assert (await models.locate("m1:m.F16")).path == (await models.locate("m1")).path
    describe("m1", source=[{"filename": "m.Q8_0.gguf"}, {"filename": "m.F16.gguf"}])
    assert await ids(models) == ["m1", "m1:m.F16", "m1:m.Q4_K_M", "m2"]
    assert (await models.locate("m1")).path.endswith("m.Q8_0.gguf")


async def test_parts_are_one_model(models: ModelsJson, models_folder: Path, write_gguf: Write) -> None:
    parts = [write_gguf(f"m1/big-0000{n}-of-00003.gguf", part=(n, 3), tensors=n) for n in (1, 2, 3)]
    write_gguf("m1/big.gguf")
    assert await ids(models) == ["m1", "m1:big.gguf"]
    location = await models.locate("m1:big")
    assert location.path == str(parts[0])
    assert location.metadata["size"] == sum(part.stat().st_size for part in parts)
    assert location.metadata["parameter_count"] == 256 * 6
    parts[1].unlink()
    with pytest.raises(InvalidRequest, match=r"00001-of-00003\.gguf is one of 3 parts, and part 2"):
        await models.locate("m1")
    assert await ids(models) == ["m1:big.gguf"]


async def test_projectors_are_no_models(
    models: ModelsJson, models_folder: Path, write_gguf: Write, describe: Write
) -> None:
    write_gguf("m1/m.gguf")
    projector = write_gguf("m1/a-MMPROJ-f16.gguf")
    other = write_gguf("m1/mmproj-b.gguf")
    assert await ids(models) == ["m1"]
    assert (await models.locate("m1")).mmproj == str(projector)
    describe("m1", settings={"mmproj": "mmproj-b.gguf"})
    assert (await models.locate("m1")).mmproj == str(other)
    describe("m1", settings={"mmproj": False})
    assert (await models.locate("m1")).mmproj is None
    describe("m1", settings={"mmproj": "../../x.gguf"})
    with pytest.raises(InvalidRequest, match=r"settings\.mmproj"):
        await models.locate("m1")


async def test_stray_things_hide_nothing(models: ModelsJson, models_folder: Path, write_gguf: Write) -> None:
    write_gguf("good/m.gguf")
    for name in (".DS_Store", "notes.txt", "good/.DS_Store", "good/._m.gguf", "good/m.gguf.part", "good/model.json~"):
        (models_folder / name).write_bytes(b"\x00\xff")
    for name in ("empty", ".hidden", "a name", "CON", "dot.", "é", "good/folder.d"):
        (models_folder / name).mkdir()
    write_gguf("half copied/m.gguf")
    (models_folder / "loop").symlink_to(models_folder / "loop")
    (models_folder / "good" / "dangling").symlink_to(models_folder / "nothing")
    assert await ids(models) == ["good"]
    for name in ("empty", "loop", "notes.txt"):
        with pytest.raises(ModelNotFound):
            await models.retrieve(name)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such a name themselves")
async def test_names_that_are_not_text(models: ModelsJson, models_folder: Path, write_gguf: Write) -> None:
    good = write_gguf("good/m.gguf")
    os.link(good, os.fsencode(good.parent) + b"/\xff.gguf")
    os.mkdir(os.fsencode(models_folder) + b"/\xfe")
    assert await ids(models) == ["good"]


async def test_damage_costs_one_model(
    models: ModelsJson, models_folder: Path, write_gguf: Write, describe: Write
) -> None:
    write_gguf("good/m.gguf")
    bad = write_gguf("bad/m.gguf")
    bad.write_bytes(b"GGUF" + bytes(100))
    write_gguf("mixed/b.gguf")
    write_gguf("mixed/a.gguf").write_bytes(b"")
    write_gguf("json/m.gguf")
    (models_folder / "json/model.json").write_text('{\n"settings": }')
    describe("away", source=[{"filename": "../../../etc/passwd"}])
    (models_folder / "pipe").mkdir()
    (models_folder / "link").mkdir()
    (models_folder / "link/m.gguf").symlink_to(models_folder / "nothing.gguf")
    (models_folder / "pipe/m.gguf").mkdir()
    (models_folder / "wide").mkdir()
    (models_folder / "wide/model.json").mkdir()
    assert await ids(models) == ["good", "mixed:b"]
    for model, named in {
        "bad": r"bad.m\.gguf",
        "mixed": r"mixed.a\.gguf",
        "json": r"json.model\.json, line 2, column 13",
        "away": "etc/passwd.*not among",
        "pipe": r"pipe.m\.gguf cannot be read",
        "link": r"link.m\.gguf.*link to a file",
        "wide": r"wide.model\.json",
    }.items():
        for call in (models.retrieve, models.locate):
            with pytest.raises(InvalidRequest, match=named):
                await call(model)
    write_gguf("bad/m.gguf")
    assert "bad" in await ids(models)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pipes in folders")
async def test_a_pipe_does_not_stop_the_listing(models: ModelsJson, models_folder: Path, write_gguf: Write) -> None:
    write_gguf("good/m.gguf")
    (models_folder / "pipe").mkdir()
    os.mkfifo(models_folder / "pipe/m.gguf")
    os.mkfifo(models_folder / "good/model.json")
    with anyio.fail_after(5):
        assert await ids(models) == []


async def test_ids_keep_their_case_and_twins_are_refused(
    models: ModelsJson, models_folder: Path, write_gguf: Write
) -> None:
    write_gguf("Qwen/m.gguf")
    with pytest.raises(ModelNotFound, match="`Qwen`"):
        await models.retrieve("qwen")
    (models_folder / "QWEN").mkdir(exist_ok=True)
    assert await ids(models) == ["Qwen"]
    if (models_folder / "qwen").exists():
        return  # this file system has no twins: the name above found the same folder
    write_gguf("qwen/m.gguf")
    assert await ids(models) == ["Qwen"]
    with pytest.raises(InvalidRequest, match="name of Qwen"):
        await models.locate("qwen")
    (models_folder / "Qwen/m.gguf").unlink()
    assert await ids(models) == ["qwen"]


async def test_unknown_ids(models: ModelsJson, write_gguf: Write) -> None:
    write_gguf("smollm2-135m-instruct/a.gguf")
    for model in ("smollm2-135m", "owner/smollm2-135m-instruct", "smollm2-135m-instruct:b", "SMOLLM2-135M-INSTRUCT"):
        with pytest.raises(ModelNotFound, match=r"`smollm2-135m-instruct`.*`jan models ls`") as caught:
            await models.retrieve(model)
        assert (caught.value.param, caught.value.code) == ("model", "model_not_found")


@pytest.mark.parametrize(
    "model", ["..", "../models/m", "m/../m", "m:..", "C:x", "", "a\x00", "\ud800", "NUL", "x" * 999]
)
async def test_hostile_ids_touch_nothing(models: ModelsJson, write_gguf: Write, opened: Opened, model: str) -> None:
    write_gguf("m/a.gguf")
    opened()
    for call in (models.retrieve, models.locate, models.delete):
        with pytest.raises(InvalidRequest) as caught:
            await call(model)
        assert caught.value.param == "model"
    assert opened() == []


async def test_replies_are_not_shared(models: ModelsJson, write_gguf: Write, describe: Write) -> None:
    write_gguf("m1/a.gguf")
    describe("m1", settings={"ctx_len": 1})
    listed, location = await models.list(), await models.locate("m1")
    listed.data[0].owned_by = "changed"
    listed.data.clear()
    location.settings["ctx_len"] = 2
    location.metadata.clear()
    assert (await models.list()).data[0].owned_by == "local"
    assert (await models.locate("m1")).settings == {"ctx_len": 1}
    assert (await models.locate("m1")).metadata
