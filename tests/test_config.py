from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field

from jan_core.config import Config, Value, default_root, load
from jan_core.refusal import Refusal


class Pool(BaseModel):
    model_config = ConfigDict(extra="forbid")

    dsn: str
    size: int = Field(default=5, ge=1, le=50)
    hosts: list[str] = []
    mode: Literal["a", "b"] = "a"
    size_of: dict[str, int] = {}
    most: int | None = None


GOOD = '[messages-postgresql]\ndsn = "a"\n'


def write(root: Path, text: str | bytes) -> Path:
    root.mkdir(exist_ok=True)
    path = root / "jan.toml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def read(root: Path, text: str | bytes, **environ: str) -> Config:
    write(root, text)
    return load(root, environ=environ)


def refused(root: Path, text: str | bytes, **environ: str) -> Refusal:
    with pytest.raises(Refusal) as caught:
        read(root, text, **environ).table("messages-postgresql", Pool)
    return caught.value


def test_the_root_is_the_flag_then_the_variable_then_jan_in_the_home(tmp_path: Path) -> None:
    assert load(tmp_path / "a", environ={"JAN_ROOT": str(tmp_path / "b")}).root == tmp_path / "a"
    assert load(environ={"JAN_ROOT": str(tmp_path / "b")}).root == tmp_path / "b"
    assert default_root({}) == Path.home() / "jan"
    assert default_root({"JAN_ROOT": ""}) == Path.home() / "jan"
    assert load(Path("~/x"), environ={}).root == Path.home() / "x"


def test_a_root_without_a_file_is_a_config_of_defaults(tmp_path: Path) -> None:
    config = load(tmp_path / "none", environ={})
    assert (config.tables, config.path) == ({}, tmp_path / "none" / "jan.toml")
    assert not (tmp_path / "none").exists()


def test_a_named_file_must_exist(tmp_path: Path) -> None:
    for given, environ in ((tmp_path / "x.toml", {}), (None, {"JAN_CONFIG": str(tmp_path / "x.toml")})):
        with pytest.raises(Refusal, match="there is no such file") as caught:
            load(tmp_path, given, environ=environ)
        assert str(tmp_path / "x.toml") in caught.value.asked
        assert "jan init" in caught.value.remedy
    write(tmp_path, "[a]\nx = 1\n").rename(tmp_path / "other.toml")
    assert load(tmp_path, tmp_path / "other.toml", environ={}).get("a", "x") == Value(
        1, f"{tmp_path / 'other.toml'}, line 2"
    )


def test_every_value_knows_file_and_line(tmp_path: Path) -> None:
    text = """# first
format = 1
[server]   # where
port = 1
"allowed_hosts" = [
  "a",
]
host.name = "x"

[plugins]
  use = ["auth-keys"]
[a.b]
c = 1
[[d.list]]
e = 2
[quoted."x-y"]
z = 1
"""
    config = read(tmp_path, text)

    def line(table: str, key: str) -> int:
        value = config.get(table, key)
        assert value is not None
        origin, _, number = value.origin.rpartition(", line ")
        assert origin == str(config.path)
        return int(number)

    places = [("server", "port"), ("server", "allowed_hosts"), ("server", "host"), ("plugins", "use"), ("a", "b")]
    assert [line(*place) for place in places] == [4, 5, 8, 11, 12]
    assert [line("d", "list"), line("quoted", "x-y")] == [14, 16]
    assert config.get("server", "nothing") is None
    assert config.where("server") == f"{config.path}, line 3"
    assert config.where("server", "port") == f"{config.path}, line 4"
    assert config.where("nowhere") == str(config.path)


def test_a_dotted_key_at_the_top_is_a_table(tmp_path: Path) -> None:
    config = read(tmp_path, "server.port = 5\nserver.host = 'x'\n")
    assert config.get("server", "port") == Value(5, f"{config.path}, line 1")
    assert config.get("server", "host") == Value("x", f"{config.path}, line 2")


@pytest.mark.parametrize("text", [GOOD.replace("\n", "\r\n"), "\ufeff" + GOOD, GOOD.rstrip("\n")])
def test_line_ends_and_a_byte_order_mark_do_not_matter(tmp_path: Path, text: str) -> None:
    config = read(tmp_path, text.encode())
    assert config.table("messages-postgresql", Pool).dsn == "a"
    assert config.get("messages-postgresql", "dsn") == Value("a", f"{config.path}, line 2")


@pytest.mark.parametrize(
    ("text", "asked", "cause", "remedy"),
    [
        (GOOD + "sise = 3\n", "sise = 3 ({path}, line 3)", "has no setting 'sise'", "did you mean 'size'?"),
        (
            GOOD + "zzz = 3\n",
            "zzz = 3 ({path}, line 3)",
            "has no setting 'zzz'",
            "Settings of messages-postgresql: dsn,",
        ),
        (
            GOOD + "size = 'x'\n",
            "size = 'x' ({path}, line 3)",
            "valid integer",
            "Give size as a whole number from 1 to 50.",
        ),
        (GOOD + "size = 99\n", "size = 99 ({path}, line 3)", "less than or equal to 50", "to 50"),
        (
            GOOD + "hosts = ['a', 5]\n",
            "hosts = ['a', 5] ({path}, line 3)",
            "valid string (at 1)",
            "as a list of texts.",
        ),
        (GOOD + "mode = 'x'\n", "mode = 'x' ({path}, line 3)", "'a' or 'b'", "Give mode as one of 'a', 'b'."),
        (GOOD + "size_of = 'x'\n", "size_of = 'x' ({path}, line 3)", "dictionary", "as a table of whole numbers."),
        (GOOD + "most = 'x'\n", "most = 'x' ({path}, line 3)", "valid integer", "Give most as a whole number."),
        ("[messages-postgresql]\ndsn = 5\n", "dsn = 5 ({path}, line 2)", "valid string", "Give dsn as a string."),
        ("[messages-postgresql]\n", "[messages-postgresql] ({path})", "Field required", "Give dsn as a string."),
    ],
)
def test_a_bad_value_is_refused_with_line_value_and_what_is_allowed(
    tmp_path: Path, text: str, asked: str, cause: str, remedy: str
) -> None:
    refusal = refused(tmp_path, text)
    assert asked.format(path=tmp_path / "jan.toml") in refusal.asked
    assert "messages-postgresql" in refusal.asked
    assert cause in refusal.cause
    assert remedy in refusal.remedy


def test_a_long_value_is_cut_in_the_message(tmp_path: Path) -> None:
    refusal = refused(tmp_path, GOOD + f"size = '{'9' * 500}x'\n")
    assert len(refusal.asked) < 200 + len(str(tmp_path))


@pytest.mark.parametrize(
    ("text", "cause", "asked"),
    [
        ("[a\n", "it is not TOML", "config file {path}"),
        ("[a]\nx = 1\nx = 2\n", "it is not TOML", "config file {path}"),
        ("port = 5\n", "settings stand in tables", "port = 5 ({path}, line 1)"),
        ("\nformat = 2\n", "reads format 1", "format = 2 ({path}, line 2)"),
        ("format = 'x'\n", "reads format 1", "format = 'x' ({path}, line 1)"),
        (b"[a]\nx = '\xff'\n", "it cannot be read", "config file {path}"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused(tmp_path: Path, text: str | bytes, cause: str, asked: str) -> None:
    refusal = refused(tmp_path, text)
    assert cause in refusal.cause
    assert refusal.asked == asked.format(path=tmp_path / "jan.toml")


def test_a_parse_error_tells_its_line(tmp_path: Path) -> None:
    assert "line 3" in refused(tmp_path, "[a]\nx = 1\ny = \n").cause


def test_a_folder_in_the_files_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "jan.toml").mkdir()
    with pytest.raises(Refusal, match="it cannot be read"):
        load(tmp_path, environ={})


def test_a_flag_goes_over_the_environment_and_that_over_the_file(tmp_path: Path) -> None:
    write(tmp_path, "[server]\nport = 1\nhost = 'file'\nheader_bytes = 5\n")
    environ = {"JAN__SERVER__PORT": "2", "JAN__SERVER__HOST": "variable"}
    config = load(tmp_path, flags={("server", "port"): Value(3, "flag --port")}, environ=environ)
    assert config.get("server", "port") == Value(3, "flag --port")
    assert config.get("server", "host") == Value("variable", "environment JAN__SERVER__HOST", "variable")
    assert config.get("server", "header_bytes") == Value(5, f"{tmp_path / 'jan.toml'}, line 4")


@pytest.mark.parametrize(
    ("name", "text", "key", "expected"),
    [
        ("JAN__MESSAGES_POSTGRESQL__SIZE", "7", "size", 7),
        ("JAN__MESSAGES_POSTGRESQL__HOSTS", '["a", "b"]', "hosts", ["a", "b"]),
        ("JAN__MESSAGES_POSTGRESQL__DSN", "postgresql://h/d?x=1", "dsn", "postgresql://h/d?x=1"),
        ("JAN__MESSAGES_POSTGRESQL__DSN", '"quoted"', "dsn", "quoted"),
        # What looks like a number, a date or a truth value is a string where a string is asked for.
        ("JAN__MESSAGES_POSTGRESQL__DSN", "12345", "dsn", "12345"),
        ("JAN__MESSAGES_POSTGRESQL__DSN", "0x10", "dsn", "0x10"),
        ("JAN__MESSAGES_POSTGRESQL__DSN", "true", "dsn", "true"),
        ("JAN__MESSAGES_POSTGRESQL__DSN", "2026-01-01", "dsn", "2026-01-01"),
    ],
)
def test_variables(tmp_path: Path, name: str, text: str, key: str, expected: Any) -> None:
    table = read(tmp_path, GOOD, **{name: text}).table("messages-postgresql", Pool)
    assert getattr(table, key) == expected


def test_a_bad_variable_is_refused_by_its_name(tmp_path: Path) -> None:
    refusal = refused(tmp_path, GOOD, JAN__MESSAGES_POSTGRESQL__SIZE="many")
    assert refusal.asked == "[messages-postgresql] size = 'many' (environment JAN__MESSAGES_POSTGRESQL__SIZE)"
    both = refused(tmp_path, "", JAN__MESSAGES_POSTGRESQL__DSN="5", JAN__MESSAGES_POSTGRESQL__SIZE="many")
    assert "size = 'many'" in both.asked
    for name in ("JAN__PORT", "JAN__", "JAN__A__B__C", "JAN__A__"):
        with pytest.raises(Refusal, match="it names no setting") as caught:
            load(tmp_path, environ={name: "1"})
        assert caught.value.asked == f"environment {name}"
        assert "JAN__<TABLE>__<KEY>" in caught.value.remedy


@pytest.mark.parametrize("text", ["a = " + "[" * 3000, "format = true"])
def test_a_hostile_file_is_refused_too(tmp_path: Path, text: str) -> None:
    (tmp_path / "jan.toml").write_text(text)
    with pytest.raises(Refusal):
        load(tmp_path, environ={})


def test_a_password_in_an_address_is_told_to_nobody(tmp_path: Path) -> None:
    root = tmp_path / "root"
    write(root, '[messages-postgresql]\ndsn = 5\nhosts = "http://user:secret@gpu1:8000/v1"\n')
    with pytest.raises(Refusal) as told:
        load(root).table("messages-postgresql", Pool)
    assert "secret" not in str(told.value)
    write(root, '[messages-postgresql]\ndsn = "a"\nhosts = "http://user:secret@gpu1:8000/v1"\n')
    with pytest.raises(Refusal) as told:
        load(root).table("messages-postgresql", Pool)
    assert "http://…@gpu1:8000/v1" in str(told.value)
