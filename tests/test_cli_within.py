from __future__ import annotations

from pathlib import Path

import pytest
import typer

from jan_core.app import Jan
from jan_core.cli.within import check_root, endpoint, json_of, request, text_of, typed, within
from jan_core.config import load
from jan_core.errors import InvalidRequest, NotSupported
from jan_core.refusal import Refusal
from jan_core.schemas.completions import DetokenizeRequest
from tests.command_line import CHOICES, add_heard, root_with
from tests.parts import Site


@pytest.fixture
def scripted(site: Site, tmp_path: Path) -> Path:
    add_heard(site)
    return root_with(tmp_path / "scripted", CHOICES)


def test_the_app_is_entered_and_closed_whatever_becomes_of_the_work(
    scripted: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seen: list[str] = []
    close = Jan.__aexit__

    async def closing(self: Jan, *error: object) -> None:
        seen.append("closed")
        await close(self, *error)  # type: ignore[arg-type]

    monkeypatch.setattr(Jan, "__aexit__", closing)

    async def good(jan: Jan) -> list[str]:
        return [one.id for one in (await jan.models.list()).data]

    async def bad(jan: Jan) -> None:
        raise KeyboardInterrupt

    assert within(scripted, None, good) == ["scripted"]
    with pytest.raises(typer.Exit) as ended:
        within(scripted, None, bad)
    assert ended.value.exit_code == 130
    assert capsys.readouterr().err == "\njan: stopped\n"
    assert seen == ["closed", "closed"]


def test_only_the_default_root_may_be_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    check_root(load(tmp_path / "jan"))
    check_root(load(tmp_path))
    monkeypatch.setenv("JAN_ROOT", str(tmp_path / "other"))
    with pytest.raises(Refusal, match="there is no such folder") as refused:
        check_root(load())
    assert refused.value.remedy == f"jan init --root {tmp_path}/other"


def test_an_endpoint_that_nobody_answers(scripted: Path) -> None:
    jan = Jan(load(scripted))
    assert endpoint(jan, "chat") is jan.chat
    with pytest.raises(NotSupported, match="No module answers 'files' here"):
        endpoint(jan, "files")


def test_a_request_is_checked_as_over_http() -> None:
    assert request(DetokenizeRequest, model="m", tokens=[1]).tokens == [1]
    with pytest.raises(InvalidRequest, match="tokens") as refused:
        request(DetokenizeRequest, model="m", tokens=None)
    assert (refused.value.param, refused.value.code) == ("tokens", "missing_field")


def test_texts() -> None:
    assert typed("é\udcff") == "é�"
    assert text_of("a", "X") == "a"
    with pytest.raises(typer.BadParameter, match="it is empty"):
        text_of(" \n", "X")


def test_json(tmp_path: Path) -> None:
    file = tmp_path / "[a].json"
    file.write_text('{"a": 1}')
    assert json_of(str(file), "X") == json_of(' {"a": 1}', "X") == {"a": 1}
    with pytest.raises(typer.BadParameter, match="it is no JSON"):
        json_of("[" * 100_000, "X")
