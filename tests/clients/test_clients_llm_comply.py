"""The independent judge `llm-comply` on chat: every mark that the model can have."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable

import pytest

from tests.clients.environments import python_of
from tests.e2e.server import MODEL

CANNOT = {
    "chat-image-input": "needs a model that sees",
    "chat-reasoning-summary": "skipped by the judge: needs a model with a name of OpenAI's reasoning models",
}
"""Checks that this model cannot pass, and why."""


def test_full_marks(
    base_url: str, clean_environ: dict[str, str], record_property: Callable[[str, object], None]
) -> None:
    judge = [str(python_of("llm-comply").with_name("llm-comply")), "--base-url", base_url, "--api-key", "none"]
    options = ["--model", MODEL, "--format", "openai-chat", "--json"]
    done = subprocess.run(
        [*judge, *options], env=clean_environ, capture_output=True, text=True, timeout=180, check=False
    )
    marks = json.loads(done.stdout)
    rows = [f"llm-comply, openai-chat: {marks['summary']['passed']} of {marks['summary']['total']} passed"]
    for one in marks["results"]:
        why = CANNOT.get(one["id"]) or "; ".join([*one.get("errors", []), *one.get("warnings", [])])
        rows.append(f"  {one['name']:24} {one['status']:8} {why}".rstrip())
    record_property("shown", "\n".join(rows))

    lacking = {one["id"] for one in marks["results"] if one["status"] != "passed" or one.get("warnings")}
    if lacking != set(CANNOT):
        pytest.fail("\n".join(rows), pytrace=False)
