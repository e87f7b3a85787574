"""A model of a foreign root: which files belong to it, and its `model.json` as Jan has it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jan_core.folder.names import is_name
from jan_core.importing.reading import Unreadable, read_flat_yaml, read_object
from jan_core.importing.source import is_weights
from jan_core.importing.values import as_name, fields, items, seconds, text

MODEL = "model.json"
"""The file that describes a model."""

# What the app calls the engine for GGUF files; a file's format says as much here.
_OWN_ENGINE = ("nitro", "cortex", "llama-cpp", "llamacpp", "cortex.llamacpp")
_ELSEWHERE = (
    *("format", "sources", "source_url", "source", "files", "model_path", "mmproj_path", "model"),
    *("prompt_template", "model_sha256", "id", "object"),
)
_LOADING: dict[str, tuple[type, float, float]] = {
    "ctx_len": (int, 256, 1 << 24),
    "n_parallel": (int, 1, 64),
    "ngl": (int, -1, 10_000),
    "embedding": (bool, 0, 1),
    "chat_template": (str, 0, 0),
}
_SAMPLING: dict[str, tuple[type, float, float]] = {
    "temperature": (float, 0, 2),
    "top_p": (float, 0, 1),
    "top_k": (int, 0, 100_000),
    "min_p": (float, 0, 1),
    "typical_p": (float, 0, 1),
    "repeat_penalty": (float, 0.01, 10),
    "frequency_penalty": (float, -2, 2),
    "presence_penalty": (float, -2, 2),
    "max_tokens": (int, 1, 2**31 - 1),
}
# A stranger's description may name any file of this machine; nothing else becomes part of a model.
_WEIGHTS = (".gguf", ".ggml", ".bin")
_PATHS = ("llama_model_path", "model_path", "mmproj", "prompt_template")


@dataclass(frozen=True)
class ForeignModel:
    """A model of a foreign root.

    Args:
        folder: where it lies there.
        known_as: what other files there call it, the best name first.
        described: its `model.json`, but for `id` and `source`; None where nothing describes it.
        files: the files that belong to it, the one with the weights first, and what `source` says of each.
        damaged: what is wrong with the description.
        notes: what was left out, or changed.
    """

    folder: Path
    known_as: tuple[str, ...]
    described: dict[str, Any] | None
    files: list[tuple[Path, dict[str, str]]] = field(default_factory=list)
    damaged: Unreadable | None = None
    notes: list[str] = field(default_factory=list)

    def description(self, name: str) -> dict[str, Any] | None:
        """The `model.json` to write for the model under this name; None where nothing is to be said."""
        if self.described is None:
            return None
        source = [{"filename": file_name(path), **told} for path, told in self.files]
        settings = dict(self.described["settings"])
        projector = next((path for path, _ in self.files[1:] if "mmproj" in path.name.lower()), None)
        if projector is not None:
            settings["mmproj"] = file_name(projector)
        return {"id": name, "object": "model", **self.described, "source": source, "settings": settings}


def file_name(path: Path) -> str:
    """The name of a file of a model in the root."""
    return path.name if is_name(path.name) else as_name(path.stem)[:100] + path.suffix.lower()


def read_model(folder: Path, below: str, data: Path) -> ForeignModel:
    """See what a folder says of a model, and which files it means.

    Args:
        folder: the model's folder.
        below: its path below the folder of models, with `/` between the parts.
        data: the foreign root, from which some paths count.
    """
    try:
        raw = _description(folder)
    except Unreadable as error:
        return ForeignModel(folder, (below,), None, damaged=error)
    names = [text(raw.get("model")), below] if "/" in below else [below]
    aliases = dict.fromkeys([*filter(None, names), below, *filter(None, [text(raw.get("id"))])])
    files = _files(folder, raw, data)
    notes: list[str] = []
    described = _converted(raw, notes) if raw else None
    return ForeignModel(folder, tuple(aliases), described, files, notes=notes)


def _description(folder: Path) -> dict[str, Any]:
    if os.path.lexists(folder / MODEL):
        return read_object(folder / MODEL)
    for name in ("model.yml", "model.yaml"):
        if os.path.lexists(folder / name):
            return read_flat_yaml(folder / name)
    return {}


def _files(folder: Path, raw: dict[str, Any], data: Path) -> list[tuple[Path, dict[str, str]]]:
    """The files that are there, each once, those of the description first and projectors last."""
    found: dict[Path, dict[str, str]] = {}
    for named, told in _named(raw):
        for base in (folder, data):
            path = Path(os.path.normpath(base / named))
            if path.suffix.lower() in _WEIGHTS and os.path.isfile(path):
                found.setdefault(path, told)
                break
    for name in sorted(os.listdir(folder)):
        if is_weights(name) and os.path.isfile(folder / name):
            found.setdefault(folder / name, {})
    return sorted(found.items(), key=lambda one: "mmproj" in one[0].name.lower())


def _named(raw: dict[str, Any]) -> Iterator[tuple[str, dict[str, str]]]:
    """The paths that a description names, and what `source` says of each."""
    for one in items(raw.get("source")) + items(raw.get("sources")):
        told = {name: one[name] for name in ("url", "sha256") if isinstance(one.get(name), str)}
        for named in (text(one.get("filename")), told.get("url")):
            if named is not None and "://" not in named:
                yield named, told
    settings = fields(raw.get("settings"))
    origin: dict[str, str] = {}
    if isinstance(raw.get("model_sha256"), str):
        origin["sha256"] = raw["model_sha256"].lower()
    url = text(raw.get("source_url"))
    if url is not None:
        origin["url"] = url
        yield url.rpartition("/")[2], origin
    more = raw.get("files")
    listed = [raw.get("model_path"), *(more if isinstance(more, list) else [])]
    for said in (*listed, settings.get("llama_model_path"), settings.get("model_path")):
        path = text(said)
        if path is not None:
            yield path, origin
    for said in (raw.get("mmproj_path"), settings.get("mmproj")):
        path = text(said)
        if path is not None:
            yield path, {}


def _converted(raw: dict[str, Any], notes: list[str]) -> dict[str, Any]:
    """A description in Jan's format. What is not known is kept, as everywhere; what would not be taken goes."""
    made = {name: value for name, value in raw.items() if name not in _ELSEWHERE}
    flat = {name: made.pop(name) for name in (*_LOADING, *_SAMPLING, "typ_p", "stop") if name in made}
    if flat.get("embedding") is False:
        del flat["embedding"]  # the newer app writes it of every model that it was not told to embed with
    if "typ_p" in flat:
        flat["typical_p"] = flat.pop("typ_p")
    given = fields(raw.get("settings"))
    if text(given.get("prompt_template"), raw.get("prompt_template")) is not None:
        notes.append("prompt_template was left out: the file's own template counts, or settings.chat_template")
    if raw.get("engine") in _OWN_ENGINE:
        notes.append(f"engine {raw['engine']!r} was left out: the file's format says which one it is")
    if text(raw.get("format")) is not None:
        notes.append("format was left out: the file itself says it")
    settings = {name: value for name, value in given.items() if name not in _PATHS}
    settings |= {name: value for name, value in flat.items() if name in _LOADING}
    parameters = fields(raw.get("parameters")) | {n: v for n, v in flat.items() if n not in _LOADING}
    made["settings"] = _taken(settings, _LOADING, "settings", notes)
    made["parameters"] = _taken(parameters, _SAMPLING, "parameters", notes)
    stop = made["parameters"].get("stop")
    if stop is not None and not (isinstance(stop, list) and all(isinstance(one, str) for one in stop)):
        notes.append("parameters.stop was left out: it is no list of texts")
        del made["parameters"]["stop"]
    created = seconds(raw.get("created"), raw.get("created_at"))
    made.pop("created", None)
    if created is not None:
        made["created"] = created
    if raw.get("engine") in _OWN_ENGINE:
        del made["engine"]
    for name, kind in (("metadata", dict), ("owned_by", str), ("engine", str)):
        if name in made and not isinstance(made[name], kind):
            del made[name]
    return made


def _taken(
    found: dict[str, Any], known: dict[str, tuple[type, float, float]], where: str, notes: list[str]
) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for name, value in found.items():
        if value is None:
            continue
        if name in known and not _fits(value, *known[name]):
            notes.append(f"{where}.{name} was left out: {str(value)[:40]!r} is not what it can be")
            continue
        kept[name] = int(value) if name in known and known[name][0] is int else value
    return kept


def _fits(value: Any, kind: type, low: float, high: float) -> bool:
    if kind in (bool, str):
        return isinstance(value, kind)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return low <= value <= high and (kind is float or value == int(value))
