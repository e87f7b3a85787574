"""The library's shared object, called through its C interface.

The Python package around it is not imported: that takes a second, for a model hub that a worker has no use for, and
its buffer for tokens is too small for text that is not ASCII.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import platform
import sys
from collections.abc import Sequence
from ctypes import POINTER, c_bool, c_char_p, c_float, c_int, c_void_p
from typing import Any

_NAMES = {"linux": "libctransformers.so", "darwin": "libctransformers.dylib", "win32": "ctransformers.dll"}
_INT_P = POINTER(c_int)
_FUNCTIONS: dict[str, tuple[Any, list[Any]]] = {
    "tokenize": (c_int, [c_char_p, c_bool, _INT_P]),
    "detokenize": (c_char_p, [c_int]),
    "is_eos_token": (c_bool, [c_int]),
    "eos_token_id": (c_int, []),
    "bos_token_id": (c_int, []),
    "vocab_size": (c_int, []),
    "context_length": (c_int, []),
    "architecture": (c_char_p, []),
    "batch_eval": (c_bool, [_INT_P, c_int, c_int, c_int, c_int]),
    "sample": (c_int, [_INT_P, c_int, c_int, c_float, c_float, c_float, c_int]),
}
"""Result and arguments after the model, of each function `ctransformers_llm_…`."""


class NoBinary(Exception):
    """There is no binary for this machine; the message says which one was looked for, and how to go on."""


class _Config(ctypes.Structure):
    _fields_ = (("context_length", c_int), ("gpu_layers", c_int), ("mmap", c_bool), ("mlock", c_bool))


def find() -> str:
    """The path of the shared object for this machine.

    Raises:
        NoBinary: there is none.
    """
    found = importlib.util.find_spec("ctransformers")
    if found is None or not found.submodule_search_locations:
        raise NoBinary(f"the package ctransformers is not installed: {sys.executable} -m pip install ctransformers")
    folder = os.path.join(found.submodule_search_locations[0], "lib")
    name = _NAMES.get(sys.platform, _NAMES["linux"])
    built_here = os.path.join(folder, "local", name)
    if os.path.isfile(built_here):
        return built_here
    machine = platform.machine().lower()
    if machine in ("x86_64", "amd64"):
        path = os.path.join(folder, _variant(_flags()), name)
    elif sys.platform == "darwin":
        path = os.path.join(folder, "basic", name)
    else:
        path = ""
    if not os.path.isfile(path):
        raise NoBinary(
            f"ctransformers has no binary for {platform.system()} on {machine}. With a C++ compiler and CMake it can "
            f"be built: {sys.executable} -m pip install --force-reinstall --no-binary ctransformers ctransformers"
        )
    return path


def _variant(flags: set[str]) -> str:
    if "avx2" in flags:
        return "avx2"
    return "avx" if {"avx", "f16c"} <= flags else "basic"


def _flags() -> set[str]:
    """What the processor can do."""
    try:
        with open("/proc/cpuinfo", encoding="ascii", errors="replace") as told:
            return set(next(line for line in told if line.startswith("flags")).split())
    except (OSError, StopIteration):
        import cpuinfo  # type: ignore[import-untyped]  # ctransformers brings it; slow, as it starts processes

        return set(cpuinfo.get_cpu_info().get("flags", ()))


def load() -> ctypes.CDLL:
    """Load the shared object.

    Raises:
        NoBinary: there is none for this machine.
        OSError: the system cannot load it.
    """
    library = ctypes.CDLL(find())
    for name, (result, arguments) in _FUNCTIONS.items():
        function = getattr(library, f"ctransformers_llm_{name}")
        function.restype = result
        function.argtypes = [c_void_p, *arguments]
    library.ctransformers_llm_create.restype = c_void_p
    library.ctransformers_llm_create.argtypes = [c_char_p, c_char_p, _Config]
    return library


class Model:
    """A loaded model. Not thread-safe. It lives as long as its process.

    Args:
        path: its file.
        kind: its type, of `formats.TYPES` or `formats.GGUF`.
        context: tokens of prompt and answer; model types that do not take it have their own.

    Raises:
        NoBinary, OSError: see `load`.
        ValueError: the library refuses the file. A bad file may also end the process.
    """

    def __init__(self, path: str, kind: str, context: int) -> None:
        library = load()
        made = library.ctransformers_llm_create(os.fsencode(path), kind.encode(), _Config(context, 0, True, False))
        if not made:
            raise ValueError(f"ctransformers cannot open it as {kind}")
        self._model = c_void_p(made)
        self._call = {name: getattr(library, f"ctransformers_llm_{name}") for name in _FUNCTIONS}
        self.size: int = self._call["vocab_size"](self._model)
        """Tokens in the vocabulary."""
        self.context: int = self._call["context_length"](self._model)
        """Tokens that the model takes; 0 or less where the library does not know."""
        self.end_token: int = self._call["eos_token_id"](self._model)
        """The end of an answer, as the library has it; some model types have 0 where the vocabulary has none."""
        self.begin_token: int = self._call["bos_token_id"](self._model)
        """The beginning of a prompt, as the library has it."""

    def tokenize(self, text: bytes) -> list[int]:
        """The tokens of a text that holds no zero byte."""
        room = (c_int * (len(text) + 8))()  # never more than one a byte, besides what is put before a text
        return room[: self._call["tokenize"](self._model, text, False, room)]

    def detokenize(self, token: int) -> bytes:
        """The bytes that a token, 0 to `size` - 1, stands for."""
        return self._call["detokenize"](self._model, token) or b""

    def evaluate(self, tokens: Sequence[int], past: int, threads: int) -> None:
        """Read tokens, in one go, after the first `past` of those read before.

        Raises:
            RuntimeError: the library failed.
        """
        count = len(tokens)
        if not self._call["batch_eval"](self._model, (c_int * count)(*tokens), count, past, count, threads):
            raise RuntimeError("ctransformers failed to evaluate tokens")

    def sample(
        self, last: Sequence[int], top_k: int, top_p: float, temperature: float, penalty: float, seed: int
    ) -> int:
        """Choose the next token.

        Args:
            last: tokens that `penalty` is for.
            top_k: 1 to `size`: the most likely tokens to choose among.
            top_p: 0 to 1: of these, those that have so much of the likelihood together.
            temperature: above 0.
            penalty: above 0; 1 is none.
            seed: 0 to 2**31 - 1; decides alone which token it will be.
        """
        count = len(last)
        token: int = self._call["sample"](
            self._model, (c_int * count)(*last), count, top_k, top_p, temperature, penalty, seed
        )
        return token
