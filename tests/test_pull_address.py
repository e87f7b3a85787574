from __future__ import annotations

import httpx2
import pytest

from jan_core.pull.address import Guard
from jan_core.pull.errors import PullError
from jan_core.pull.source import Web, parse

PRIVATE = [
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "0.0.0.0",
    "127.0.0.1",
    "127.1.2.3",
    "224.0.0.1",
    "255.255.255.255",
    "[::]",
    "[::1]",
    "[fe80::1]",
    "[fc00::1]",
    "[fd12:3456::1]",
    "[ff02::1]",
    "[::ffff:10.0.0.1]",
    "[::ffff:169.254.169.254]",
    "[64:ff9b::a9fe:a9fe]",
    "[64:ff9b::7f00:1]",
    "[2002:a00:1::1]",
]
# Spellings that only the system's own look-up understands.
DISGUISED = ["2130706433", "0x7f000001", "127.1", "3232235777", "0"]


def guard(text: str, environ: dict[str, str] | None = None) -> Guard:
    web = parse(text, environ or {})
    assert isinstance(web, Web)
    return Guard(web)


@pytest.mark.parametrize("host", PRIVATE)
def test_private_addresses_are_refused(host: str) -> None:
    url = httpx2.URL(f"https://{host}/x.gguf")
    with pytest.raises(PullError, match="is a private address"):
        guard("https://example.com/x.gguf").check(url)
    with pytest.raises(PullError, match="is a private address"):
        guard("https://example.com/x.gguf").addresses(url)


@pytest.mark.parametrize("host", DISGUISED)
def test_disguised_addresses_are_refused_after_the_look_up(host: str) -> None:
    url = httpx2.URL(f"https://{host}/x.gguf")
    with pytest.raises(PullError, match=r"is a private address|No address is known"):
        guard(str(url)).addresses(url)


@pytest.mark.parametrize("host", ["1.1.1.1", "[2606:4700::1111]", "198.18.0.5", "[64:ff9b::101:101]"])
def test_public_addresses_pass(host: str) -> None:
    url = httpx2.URL(f"https://{host}/x.gguf")
    own = guard("https://example.com/x.gguf")
    own.check(url)
    assert own.addresses(url) == [host.strip("[]")]


def test_loopback_is_for_who_wrote_it_literally() -> None:
    own = guard("http://127.0.0.1:8000/x.gguf")
    own.check(httpx2.URL("http://127.0.0.1:9000/y.gguf"))
    for other in ["http://127.0.0.2/y", "http://localhost/y", "http://10.0.0.1/y", "http://example.com/y"]:
        with pytest.raises(PullError, match="refused"):
            own.check(httpx2.URL(other))
    with pytest.raises(PullError, match="private"):
        own.check(httpx2.URL("https://localhost/y"))


@pytest.mark.parametrize("scheme", ["http", "ftp", "file", "gopher"])
def test_only_https_is_followed(scheme: str) -> None:
    with pytest.raises(PullError, match="only https://"):
        guard("https://example.com/x.gguf").check(httpx2.URL(f"{scheme}://example.com/y"))


def test_an_own_mirror_may_be_private_but_nothing_beside_it() -> None:
    own = guard("hf:o/r/f.gguf", {"HF_ENDPOINT": "https://10.1.2.3:8443"})
    own.check(httpx2.URL("https://10.1.2.3:8443/o/r"))
    assert own.addresses(httpx2.URL("https://10.1.2.3:8443/o/r")) == ["10.1.2.3"]
    for other in ["https://10.1.2.3/o", "https://10.1.2.4:8443/o"]:
        with pytest.raises(PullError, match="private"):
            own.check(httpx2.URL(other))


def test_a_name_without_an_address() -> None:
    url = httpx2.URL("https://nothing.invalid/x.gguf")
    own = guard(str(url))
    with pytest.raises(PullError, match=r"No address is known for nothing\.invalid"):
        own.addresses(url)
    assert own.addresses(url, proxied=True) == []
