"""Which machines a pull may talk to: none of the private ones behind this computer's back.

A link, or a redirect on the way, can name an address that only this machine reaches: a router, a cloud's metadata
service, a database. So every address is looked up here first, checked, and then connected to as it was checked: a name
that changes its mind in between changes nothing.
"""

from __future__ import annotations

import ipaddress
import socket
from typing import TYPE_CHECKING

from jan_core.pull.errors import PullError
from jan_core.pull.source import LOOPBACK, Web

if TYPE_CHECKING:
    import httpx2

# Set aside for measuring devices, so nobody's private network; programs that tunnel a computer's whole traffic answer
# with it for every name.
_TUNNEL = ipaddress.ip_network("198.18.0.0/15")
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


class Guard:
    """Decides, for one pull, which addresses it may connect to.

    Public ones; a loopback host if the person wrote it literally; the origin that the person's settings name.
    """

    def __init__(self, web: Web) -> None:
        import httpx2

        start = httpx2.URL(web.url)
        self._home = start.host if LOOPBACK.fullmatch(start.host) else None
        self._trusted = origin(start) if web.trusted else None

    def check(self, url: httpx2.URL) -> None:
        """Look at what the URL itself says.

        Raises:
            PullError: another scheme than https (http on this machine), or a private address.
        """
        home = url.host == self._home
        if url.scheme != "https" and not (url.scheme == "http" and home):
            raise PullError(f"A redirect to {url.scheme}://{url.host} was refused: only https:// is followed.")
        if home or origin(url) == self._trusted:
            return
        if LOOPBACK.fullmatch(url.host) or _is_private(url.host):
            raise _refusal(url.host, url.host)

    def addresses(self, url: httpx2.URL, *, proxied: bool = False) -> list[str]:
        """The addresses to connect to, best first.

        Args:
            url: where to, already through `check`.
            proxied: a proxy will connect; it may know names that this machine does not.

        Returns:
            Addresses as text; none only where `proxied`.

        Raises:
            PullError: the name has no address, or a private one.
        """
        try:
            found = socket.getaddrinfo(url.host, url.port or 443, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            if proxied:
                return []
            raise PullError(f"No address is known for {url.host}. Check its spelling, and the connection.") from None
        addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
        if url.host != self._home and origin(url) != self._trusted:
            for address in addresses:
                if _is_private(address):
                    raise _refusal(url.host, address)
        return addresses


def origin(url: httpx2.URL) -> tuple[str, str, int]:
    """Scheme, host and port: what a credential is for."""
    return url.scheme, url.host, url.port or {"http": 80, "https": 443}.get(url.scheme, 0)


def _refusal(host: str, address: str) -> PullError:
    what = host if host == address else f"{host} ({address})"
    return PullError(
        f"{what} is a private address, and a pull does not go there. Download the file by other means,"
        " and pull it from its path."
    )


def _is_private(text: str) -> bool:
    """Whether `text` is an address that is not for everybody; names are not addresses."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
        if address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return _is_private(str(inner))
        return not address.is_global or address.is_multicast
    return (not address.is_global or address.is_multicast) and address not in _TUNNEL
