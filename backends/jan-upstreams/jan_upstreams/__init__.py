"""`jan-upstreams`: other servers that speak OpenAI's API, as one more engine of Jan.

Security boundaries: what a server answers is a stranger's text, read into Jan's own schemas and never handed on as it
is. A key goes to the server it belongs to, in no other way and nowhere else: no redirect is followed, no proxy of the
environment is used, and nothing that is told or logged holds it.
"""

from __future__ import annotations

from jan_upstreams.backend import Upstreams

__all__ = ["Upstreams"]
