from __future__ import annotations

from importlib.metadata import entry_points

from jan_bundle import ENDPOINTS


def test_the_defaults_are_installed_modules_of_installed_endpoints() -> None:
    modules = {entry.name for entry in entry_points(group="jan.modules")}
    endpoints = {entry.name for entry in entry_points(group="jan.endpoints")}
    chosen = {name for names in ENDPOINTS.values() for name in ([names] if isinstance(names, str) else names)}
    assert chosen == {
        "assistants-json",
        "chat-llamacpp",
        "completions-llamacpp",
        "embeddings-llamacpp",
        "messages-json",
        "models-json",
        "runs-json",
        "threads-json",
    }
    assert chosen <= modules
    assert set(ENDPOINTS) <= endpoints
