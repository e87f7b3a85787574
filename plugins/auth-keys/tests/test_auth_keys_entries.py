from __future__ import annotations

import math
from datetime import UTC, datetime

import pytest
from jan_auth_keys import entries
from jan_auth_keys.entries import Keys, Unreadable, read_keys
from jan_auth_keys.token import Token, digest_of

TOKEN = Token(b"abcdefghijkl", b"s" * 43)
ENTRY = f'id = "abcdefghijkl"\nhash = "{digest_of(TOKEN).hex()}"\n'


def keys_of(more: str = "", name: str = "laptop") -> Keys:
    return read_keys(f"[keys.{name}]\n{ENTRY}{more}\n".encode())


def test_a_key_is_found_by_what_was_presented_only() -> None:
    keys = keys_of()
    assert keys.faults == ()
    found = keys.find(TOKEN)
    assert found is not None
    assert (found.name, found.scopes, found.created, found.expires) == ("laptop", None, None, math.inf)
    assert keys.find(Token(TOKEN.id, b"s" * 42 + b"t")) is None
    assert keys.find(Token(b"abcdefghijkm", TOKEN.secret)) is None


def test_an_unknown_id_is_hashed_and_compared_as_a_known_one(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[tuple[str, int]] = []
    digest, compare = digest_of, entries.compare_digest

    def digesting(token: Token) -> bytes:
        done.append(("digest", len(token.secret)))
        return digest(token)

    def comparing(one: bytes, other: bytes) -> bool:
        done.append(("compare", len(other)))
        return compare(one, other)

    monkeypatch.setattr(entries, "digest_of", digesting)
    monkeypatch.setattr(entries, "compare_digest", comparing)
    keys = keys_of()
    wrong = (Token(TOKEN.id, b"t" * 43), Token(b"z" * 12, TOKEN.secret))
    for token in (*wrong, TOKEN, *wrong):
        done.clear()
        assert (keys.find(token) is not None) is (token is TOKEN)
        assert done == [("compare", 43), ("digest", 43), ("compare", 32)]


def test_a_key_that_was_found_is_hashed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    keys, digest = keys_of(), digest_of
    done: list[Token] = []

    def digesting(token: Token) -> bytes:
        done.append(token)
        return digest(token)

    monkeypatch.setattr(entries, "digest_of", digesting)
    found = keys.find(TOKEN)
    assert found is keys.find(Token(TOKEN.id, bytes(bytearray(TOKEN.secret)))) is not None
    assert done == [TOKEN]
    assert keys.find(Token(b"z" * 12, TOKEN.secret)) is None
    assert TOKEN.secret.decode() not in repr(keys)


def test_nobody_is_found_by_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entries, "digest_of", lambda token: entries._NOBODY.digest)
    assert keys_of().find(Token(b"z" * 12, TOKEN.secret)) is None


@pytest.mark.parametrize(
    ("written", "moment"),
    [
        ("2027-01-31", datetime(2027, 1, 31, tzinfo=UTC)),
        ("2027-01-31T12:00:00", datetime(2027, 1, 31, 12, tzinfo=UTC)),
        ("2027-01-31 12:00:00Z", datetime(2027, 1, 31, 12, tzinfo=UTC)),
        ("2027-01-31T12:00:00+02:00", datetime(2027, 1, 31, 10, tzinfo=UTC)),
    ],
)
def test_times_as_a_person_writes_them(written: str, moment: datetime) -> None:
    (key,) = keys_of(f"expires = {written}\ncreated = {written}").by_id.values()
    assert key.expires == key.created == moment.timestamp()


def test_scopes_are_read() -> None:
    (key,) = keys_of('allow = ["chat", "models:read"]', name='"ada@home"').by_id.values()
    assert key.name == "ada@home"
    assert key.scopes is not None
    assert key.scopes.listed == ("chat", "models:read")
    (key,) = keys_of("allow = []").by_id.values()
    assert key.scopes is not None
    assert not key.scopes.permit("chat", "read")


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ("expire = 2027-01-31", "no field 'expire', did you mean 'expires'?"),
        ("zzz = 1", "no field 'zzz'; there are id, hash"),
        ('expires = "2027-01-31"', "`expires` must be a date or a time without quotes"),
        ("expires = 12:00:00", "`expires` must be a date or a time"),
        ("created = 1", "`created` must be a date or a time"),
        ('allow = "chat"', "`allow` must be a list of texts"),
        ("allow = [1]", "`allow` must be a list of texts"),
        ('allow = ["chat", "models:raed"]', "'models:raed' is no scope"),
    ],
)
def test_an_entry_that_is_not_understood_counts_for_nothing_and_the_others_count(more: str, told: str) -> None:
    keys = read_keys(
        f"[keys.wrong]\n{ENTRY}{more}\n[keys.right]\n{ENTRY.replace('abcdefghijkl', 'mmmmmmmmmmmm')}".encode()
    )
    assert [key.name for key in keys.by_id.values()] == ["right"]
    assert len(keys.faults) == 1
    assert "'wrong' counts for nothing" in keys.faults[0]
    assert told in keys.faults[0]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[keys.a]\nhash = '" + "0" * 64 + "'", "`id` must be the 12 letters"),
        ("[keys.a]\nid = 'abcdefghijkl'", "`hash` must be 64 hexadecimal digits"),
        ("[keys.a]\nid = 'abcdefghijkl'\nhash = '" + "0" * 63 + "'", "`hash` must be 64"),
        ("[keys.a]\nid = 'abcdefghijkl\u00e9'\nhash = '" + "0" * 64 + "'", "`id` must be"),
        ("[keys]\na = 'jan_x'", "it is no table; write [keys.a]"),
        ("[keys.'a\\u001b[0m']\n", "a name has letters"),
        ("[key.a]\nid = 'x'", "'key' stands beside the keys"),
    ],
)
def test_what_is_wrong_is_told(text: str, told: str) -> None:
    keys = read_keys(text.encode())
    assert not keys.by_id
    assert told in keys.faults[0]
    assert "\x1b" not in keys.faults[0]


def test_two_entries_with_one_id_count_for_nothing_both() -> None:
    keys = read_keys(f"[keys.a]\n{ENTRY}[keys.b]\n{ENTRY}allow = []".encode())
    assert not keys.by_id
    assert "'a' and 'b' have one id" in keys.faults[0]


@pytest.mark.parametrize("raw", [b"[keys", b"\xff", b"keys = 1", b"a" * 5000 + b"[" * 5000, b"a = " + b"[" * 100_000])
def test_a_file_that_says_nothing(raw: bytes) -> None:
    with pytest.raises(Unreadable):
        read_keys(raw)


def test_a_byte_order_mark_does_no_harm() -> None:
    assert read_keys(b"\xef\xbb\xbf[keys.a]\n" + ENTRY.encode()).by_id
    assert read_keys(b"").by_id == {}
