"""One GET through its redirects: each hop checked, credentials for the first origin only, at most five."""

from __future__ import annotations

import re
import ssl
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from jan_core import __version__
from jan_core.pull.address import Guard, origin
from jan_core.pull.errors import PullError
from jan_core.pull.source import LOOPBACK, Web

if TYPE_CHECKING:
    import httpx2

_SHA256 = re.compile(r'(?:W/)?"?([0-9a-f]{64})"?')
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


@dataclass(frozen=True)
class Limits:
    """How long to be patient.

    Args:
        connect: seconds for a connection to come about.
        stall: seconds without a byte.
        waits: seconds before each further attempt in a row that brought nothing new.
        redirects: hops, at most.
    """

    connect: float = 15.0
    stall: float = 60.0
    waits: tuple[float, ...] = (0.5, 2.0, 8.0)
    redirects: int = 5


class Broken(Exception):
    """The connection failed in a way that another attempt may mend. The text is a clause without a full stop."""


@dataclass(frozen=True)
class Answer:
    """The last response of the chain, still open, and the file's SHA-256 where the hub told it."""

    response: httpx2.Response
    sha256: str | None

    def body(self) -> Iterator[bytes]:
        """The bytes as sent.

        Raises:
            Broken: the connection was cut, or nothing came for too long.
        """
        import httpx2

        try:
            yield from self.response.iter_raw()
        except httpx2.TimeoutException:
            raise Broken("nothing came for too long") from None
        except httpx2.TransportError:
            raise Broken("the connection was cut") from None


@contextmanager
def get(web: Web, headers: Mapping[str, str], limits: Limits) -> Iterator[Answer]:
    """Ask for the file and follow redirects.

    Raises:
        Broken: no connection, or the server is busy; another attempt may work.
        PullError: a hop was refused, or there were too many.
    """
    import httpx2

    guard = Guard(web)
    url = httpx2.URL(web.url)
    home = origin(url)
    authorization = web.authorization
    sha256: str | None = None
    for _ in range(limits.redirects + 1):
        guard.check(url)
        sent = {"User-Agent": f"jan/{__version__}", "Accept": "*/*", "Accept-Encoding": "identity", **headers}
        if origin(url) != home:
            authorization = None  # and it does not come back, wherever the chain goes next
        if authorization:
            sent["Authorization"] = authorization
        with ExitStack() as stack:
            response = _send(stack, guard, url, sent, limits)
            if web.hub and origin(url) == home:
                found = _SHA256.fullmatch(response.headers.get("x-linked-etag", ""))
                sha256 = found[1] if found else sha256
            if response.status_code not in _REDIRECTS:
                yield Answer(response, sha256)
                return
            try:
                target = url.join(response.headers.get("location", ""))
                url = target.copy_with(username=None, password=None, fragment=None)
            except (httpx2.InvalidURL, ValueError):
                raise PullError(f"{url.host} redirects to something that is no address.") from None
    raise PullError(f"{web.record} redirects more than {limits.redirects} times. Give the address at the end of it.")


def _send(stack: ExitStack, guard: Guard, url: httpx2.URL, headers: dict[str, str], limits: Limits) -> httpx2.Response:
    import httpx2

    proxy = None if LOOPBACK.fullmatch(url.host) else _proxy(url.host)
    addresses = guard.addresses(url, proxied=proxy is not None)
    try:
        client = stack.enter_context(
            httpx2.Client(
                verify=_trust() if url.scheme == "https" else False,
                proxy=proxy,
                trust_env=False,
                follow_redirects=False,
                timeout=httpx2.Timeout(limits.stall, connect=limits.connect),
            )
        )
    except (ImportError, ValueError) as error:
        raise PullError(f"The proxy of this machine's settings cannot be used: {error}.") from None
    failure: Exception | None = None
    # Through a proxy the name goes out; otherwise the address does, as it was checked, and TLS still wants the name.
    for host in [url.host] if proxy else addresses:
        extensions = {"sni_hostname": url.host} if host != url.host else {}
        request = client.build_request(
            "GET",
            url.copy_with(host=host),
            headers={"Host": url.netloc.decode("ascii"), **headers},
            extensions=extensions,
        )
        try:
            response = client.send(request, stream=True)
        except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
            failure = error
            if _is_certificate(error):
                raise PullError(
                    f"The certificate of {url.host} is not trusted: {failure}."
                    " Behind a company's proxy, point SSL_CERT_FILE at its certificates."
                ) from None
        except httpx2.TimeoutException:
            raise Broken(f"{url.host} did not answer in time") from None
        except httpx2.TransportError as error:
            raise Broken(f"{url.host} broke off: {error}") from None
        else:
            stack.callback(response.close)
            return response
    through = " through the proxy" if proxy else ""
    raise Broken(f"no connection to {url.host}{through}: {failure or 'timed out'}")


def _is_certificate(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError) or "CERTIFICATE_VERIFY_FAILED" in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False


@lru_cache(maxsize=1)
def _trust() -> ssl.SSLContext:
    """The system's certificates, or those of SSL_CERT_FILE and SSL_CERT_DIR."""
    import httpx2

    return httpx2.create_ssl_context()


def _proxy(host: str) -> str | None:
    """The proxy for https to this host by the environment's or the system's settings, if any."""
    found = urllib.request.getproxies()
    proxy = found.get("https") or found.get("all")
    if not proxy or urllib.request.proxy_bypass(host):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"
