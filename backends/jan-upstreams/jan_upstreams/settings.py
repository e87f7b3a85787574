"""The backend's table, `[jan-upstreams]`."""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import SplitResult, urlsplit

from pydantic import ConfigDict, Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from jan_core.schemas.base import Described

LONGEST = 86_400
"""Seconds of a day, the longest that a setting takes."""
_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"


def _parts(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and parts.hostname and (parts.port is None or parts.port > 0)
    except ValueError:
        return None
    return parts if good else None


class UpstreamSettings(Described):
    """One server, and how it is asked."""

    model_config = ConfigDict(strict=True, extra="forbid")

    name: str = Field(default="", pattern=r"^$|" + _NAME)
    """What messages and metrics call it; host and port where it is left out."""
    url: str
    """Where its API begins, as OpenAI's clients are given it: `http://gpu1:8000/v1`."""
    key_env: str | None = None
    """The environment variable that holds its key. The key is sent to this server only, and never logged."""
    key_file: str | None = None
    """The file that holds its key instead."""
    weight: float = Field(default=1, gt=0, le=1_000_000)
    """How much of the conversations it gets, in relation to the others' weights."""
    models: list[Annotated[str, Field(min_length=1, max_length=256)]] | None = Field(default=None, min_length=1)
    """The models that are asked of it; whatever it lists itself where this is left out."""
    requests: int = Field(default=256, ge=1, le=100_000)
    """Requests that it is given at once, at most."""
    connect_seconds: float = Field(default=5, gt=0, le=LONGEST)
    """How long a connection may take to be made."""
    first_seconds: float = Field(default=300, gt=0, le=LONGEST)
    """How long it may take to begin its answer: it may have to read a long prompt, or to load a model."""
    silence_seconds: float = Field(default=60, gt=0, le=LONGEST)
    """How long it may say nothing within an answer."""
    private: bool = False
    """Ask it also where a name with a public ending (`api.example.com`) leads to a private address."""

    @field_validator("url")
    @classmethod
    def _is_address(cls, value: str) -> str:
        parts = _parts(value)
        if parts is None:
            raise PydanticCustomError("address", "an address such as http://gpu1:8000/v1")
        if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
            raise PydanticCustomError(
                "address", "an address without name, password, `?` and `#`; its key is named by key_env or key_file"
            )
        return value.rstrip("/")

    @model_validator(mode="after")
    def _one_key(self) -> UpstreamSettings:
        if self.key_env is not None and self.key_file is not None:
            raise PydanticCustomError("conflict", "key_env or key_file, not both")
        return self

    @property
    def shown(self) -> str:
        """What messages call it."""
        return self.name or urlsplit(self.url).netloc


class UpstreamsSettings(Described):
    """Other servers, as one more engine."""

    model_config = ConfigDict(strict=True, extra="forbid")

    upstreams: list[UpstreamSettings] = Field(default=[])
    """The servers."""
    refresh_seconds: float = Field(default=10, gt=0, le=LONGEST)
    """How often each is asked for its models. One that fails is asked again sooner, at first."""
    attempts: int = Field(default=3, ge=1, le=100)
    """Servers that one request tries, at most. Another is tried only while nothing of an answer has come."""

    @field_validator("upstreams")
    @classmethod
    def _told_apart(cls, value: list[UpstreamSettings]) -> list[UpstreamSettings]:
        names = [one.shown for one in value]
        if len(set(names)) < len(names):
            raise PydanticCustomError("conflict", "servers with different names")
        return value


class ModuleSettings(Described):
    """The table of a module that stands on upstreams."""

    model_config = ConfigDict(strict=True, extra="forbid")

    upstreams: list[UpstreamSettings] = Field(default=[])
    """Further servers, as in `[jan-upstreams]`, for whoever has no other table."""
    unknown_fields: Literal["refuse", "pass on"] = "refuse"
    """What is done with fields of a request that the API does not know: servers have some of their own."""

    @property
    def passes_on(self) -> bool:
        """Whether such fields go to the server."""
        return self.unknown_fields == "pass on"
