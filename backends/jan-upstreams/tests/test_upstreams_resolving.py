from __future__ import annotations

from typing import Any

import pytest
from aiohttp.resolver import ThreadedResolver
from jan_upstreams.resolving import Resolver, is_own


@pytest.mark.parametrize("host", ["gpu1", "localhost", "127.0.0.1", "[::1]", "gpu.internal", "a.b.svc", "x.LAN."])
def test_these_are_of_the_own_network(host: str) -> None:
    assert is_own(host)


@pytest.mark.parametrize("host", ["api.example.com", "localhost.example.com", "internal.example.org"])
def test_these_are_not(host: str) -> None:
    assert not is_own(host)


@pytest.mark.anyio
async def test_a_public_name_leads_to_no_private_address(monkeypatch: pytest.MonkeyPatch) -> None:
    async def resolve(self: Any, host: str, port: int = 0, family: Any = None) -> list[Any]:
        return [{"host": one} for one in found]

    monkeypatch.setattr(ThreadedResolver, "resolve", resolve)
    found = ["127.0.0.1", "8.8.8.8", "fe80::1%eth0", "169.254.169.254"]
    strict, open_ = Resolver(private=False), Resolver(private=True)
    assert [one["host"] for one in await strict.resolve("api.example.com")] == ["8.8.8.8"]
    assert [one["host"] for one in await strict.resolve("gpu1")] == found
    assert [one["host"] for one in await open_.resolve("api.example.com")] == found
    found = ["10.0.0.1"]
    with pytest.raises(OSError, match="private = true"):
        await strict.resolve("api.example.com")
