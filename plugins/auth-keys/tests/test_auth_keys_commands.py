from __future__ import annotations

import json
import time
from pathlib import Path

from jan_auth_keys.file import read
from jan_auth_keys.token import read_token

from tests.command_line import Call


def test_a_key_is_made_and_shown_once(jan: Call, path: Path) -> None:
    done = jan("keys", "add", "laptop")
    assert done.code == 0
    text = done.out.strip()
    assert read_token(text.encode()) is not None, "nothing but the key is on stdout"
    assert "'laptop'" in done.err
    assert text not in done.err
    told = jan("keys", "ls")
    assert [line.split()[:3] for line in told.out.splitlines()] == [
        ["NAME", "ID", "ALLOW"],
        ["laptop", text.split("_")[1], "everything"],
    ]
    assert "never" in told.out
    everything = told.out + jan("keys", "ls", "--json").out + path.read_text()
    assert text.split("_")[2] not in everything


def test_json(jan: Call, path: Path) -> None:
    now = time.time()
    done = jan("keys", "add", "ci", "--allow", "chat", "--allow", "models:read", "--expires", "30d", "--json")
    made = json.loads(done.out)
    assert done.err == ""
    token = read_token(made.pop("key").encode())
    assert token is not None
    assert read(str(path)).find(token) is not None
    assert abs(made["created_at"] - now) < 60
    assert abs(made["expires_at"] - now - 30 * 86_400) < 60
    assert made == {
        "name": "ci",
        "id": token.id.decode(),
        "created_at": made["created_at"],
        "expires_at": made["expires_at"],
        "expired": False,
        "allow": ["chat", "models:read"],
    }
    assert json.loads(jan("keys", "ls", "--json").out) == [made]
    assert json.loads(jan("keys", "revoke", "ci", "--json").out) == {"name": "ci", "revoked": True}
    assert json.loads(jan("keys", "ls", "--json").out) == []


def test_a_key_is_revoked(jan: Call) -> None:
    jan("keys", "add", "a")
    assert jan("keys", "revoke", "a").out == "The key 'a' is revoked.\n"
    done = jan("keys", "revoke", "a")
    assert (done.code, done.out) == (1, "")
    assert "There is no key 'a'" in done.err
    assert "There is no key yet" in jan("keys", "ls").err


def test_when_a_key_ends(jan: Call, path: Path) -> None:
    ends = [
        ("2h", time.time() + 7200),
        ("2w", time.time() + 14 * 86_400),
        ("2099-01-31", 4073500800),
        ("2099-01-31T00:00:00+01:00", 4073497200),
    ]
    for number, (text, end) in enumerate(ends):
        made = json.loads(jan("keys", "add", f"k{number}", "--expires", text, "--json").out)
        assert abs(made["expires_at"] - end) < 60, text
    for text in ("", "2", "0d", "-1d", "2x", "soon", "2099-02-30", "99999999w", "2020-01-01"):
        done = jan("keys", "add", "wrong", f"--expires={text}")
        assert done.code == 2, text
        assert "--expires" in done.err
    assert "wrong" not in path.read_text()
    assert "(expired)" not in jan("keys", "ls").out
    path.write_text(path.read_text().replace("2099-01-31T00:00:00Z", "2021-01-31"))
    assert "2021-01-31 00:00Z (expired)" in jan("keys", "ls").out


def test_scopes_that_name_nothing_are_refused(jan: Call, path: Path) -> None:
    done = jan("keys", "add", "a", "--allow", "caht:read")
    assert done.code == 2
    assert "there is no endpoint 'caht'; did you mean 'chat'?" in done.err
    assert "is no scope" in jan("keys", "add", "a", "--allow", "chat:raed").err
    assert not path.exists()
    assert jan("keys", "add", "a", "--allow", "*:read", "--allow", "auth-keys", "--allow", "chat").code == 0


def test_what_is_wrong_in_the_file_is_told(jan: Call, path: Path) -> None:
    jan("keys", "add", "a")
    path.write_text(path.read_text() + "[keys.b]\nexpire = 1\n")
    done = jan("keys", "ls", "--json")
    assert [one["name"] for one in json.loads(done.out)] == ["a"]
    assert "'b' counts for nothing" in done.err
    path.write_text("[keys")
    for command in (("ls",), ("add", "c"), ("revoke", "a")):
        done = jan("keys", *command)
        assert done.code == 1
        assert "it is not TOML" in done.err


def test_the_file_may_be_elsewhere(jan: Call, path: Path, tmp_path: Path) -> None:
    with (path.parent / "jan.toml").open("a") as config:
        config.write(f"[auth-keys]\nfile = {json.dumps(str(tmp_path / 'secret' / 'k.toml'))}\n")
    assert jan("keys", "add", "a").code == 0
    assert (tmp_path / "secret" / "k.toml").exists()
    assert not path.exists()
    assert "a" in jan("keys", "ls").out


def test_the_command_is_there_where_the_plugin_is_chosen(jan: Call, path: Path) -> None:
    assert "keys" in jan("--help").out
    (path.parent / "jan.toml").write_text("")
    assert jan("keys", "ls").code == 2
