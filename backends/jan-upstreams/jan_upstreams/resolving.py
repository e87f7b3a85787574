"""Where a name leads: to a private address only where the config says so.

A name such as `gpu1` or `gpu.internal` is one of the own network, and an address in the config is named there. A name
with a public ending that suddenly leads to a private address is somebody else's doing.
"""

from __future__ import annotations

import errno
import ipaddress
import socket

from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver
from typing_extensions import override

OWN = ("localhost", "local", "internal", "lan", "home", "intranet", "private", "svc", "arpa", "test")
"""Endings of names of own networks."""


def is_own(host: str) -> bool:
    """True for an address, and for a name that is one of an own network."""
    name = host.rstrip(".").lower()
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return "." not in name or name.rsplit(".", 1)[1] in OWN
    return True


class Resolver(AbstractResolver):
    """Looks names up as the system does.

    Args:
        private: whether a name with a public ending may lead to a private address.
    """

    def __init__(self, *, private: bool) -> None:
        self._private = private
        self._system = ThreadedResolver()

    @override
    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._system.resolve(host, port, family)
        if self._private or is_own(host):
            return found
        public = [one for one in found if ipaddress.ip_address(one["host"].split("%")[0]).is_global]
        if not public:
            # With a number: of an OSError without one, aiohttp tells nothing.
            why = f"{host} leads to a private address; if that is right, write private = true"
            raise OSError(errno.EHOSTUNREACH, why)
        return public

    @override
    async def close(self) -> None:
        await self._system.close()
