from __future__ import annotations

import inspect

import pluggy
import pytest

from jan_core import hookspecs
from jan_core.hookspecs import hookimpl
from jan_core.testing.wired import KERNEL

HOOKS = {name: function for name, function in vars(hookspecs).items() if hasattr(function, "jan_spec")}


def test_every_endpoint_of_the_kernel_has_its_pair() -> None:
    for endpoint in KERNEL:
        assert f"provide_{endpoint}" in HOOKS
        assert f"wrap_{endpoint}" in HOOKS
    pairs = {f"{verb}_{endpoint}" for verb in ("provide", "wrap") for endpoint in [*KERNEL, "engines"]}
    assert {*HOOKS} - pairs == {
        "settings_model",
        "wrap_every",
        "asgi_wrapper",
        "authenticates",
        "register_routes",
        "register_commands",
        "doctor_checks",
    }


def test_every_hook_is_described_gives_one_result_and_takes_settings_and_jan_or_nothing() -> None:
    assert len(HOOKS) >= 10
    for name, function in HOOKS.items():
        assert inspect.getdoc(function), name
        assert function.jan_spec["firstresult"], name
        expected = [] if name in ("settings_model", "register_commands") else ["settings", "jan"]
        more = ["endpoint"] if name == "wrap_every" else []
        assert list(inspect.signature(function).parameters) == expected + more, name


def test_pluggy_takes_them_and_refuses_an_implementation_with_other_arguments() -> None:
    class Wrong:
        @hookimpl
        def provide_chat(self, config: object) -> None:
            """Take what no hook gives."""

    class Right:
        @hookimpl
        def provide_chat(self, jan: object) -> str:
            """Take less than is given, which is allowed."""
            return f"built with {jan}"

    hooks = pluggy.PluginManager("jan")
    hooks.add_hookspecs(hookspecs)
    with pytest.raises(pluggy.PluginValidationError, match="config"):
        hooks.register(Wrong())
    hooks.register(Right())
    assert hooks.hook.provide_chat(settings=None, jan="it") == "built with it"
