from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import given as hypothesis_given
from starlette.routing import Route

from jan_core import http
from jan_core.endpoint import Endpoint
from jan_core.endpoints.assistants import Assistants
from jan_core.endpoints.chat import Chat
from jan_core.endpoints.messages import Messages
from jan_core.endpoints.models import Models
from jan_core.endpoints.runs import Runs
from jan_core.endpoints.threads import Threads
from jan_core.openapi import describe, document
from jan_core.requests import UnderWay
from jan_core.testing.memory import ModelsInMemory
from jan_core.testing.scripted import ScriptedChat
from tests.notes import Notes, NotesInMemory
from tests.pinned import spec

KERNEL: dict[str, type[Endpoint]] = {"chat": Chat, "models": Models}
EVERY = {**KERNEL, "notes": Notes}


def bare(path: str) -> str:
    return re.sub(r"\{(\w+):\w+\}", r"{\1}", path)


def test_the_document_the_route_table_and_the_operations_are_one() -> None:
    declared = {
        (one.method, bare(one.path))
        for endpoint in EVERY.values()
        for one in endpoint.operations().values()
        if one.path is not None
    }
    made = {"chat": ScriptedChat(), "models": ModelsInMemory(), "notes": NotesInMemory()}
    routed = {
        (method, bare(route.path))
        for route in http.routes(made, UnderWay())
        if isinstance(route, Route)
        for method in (route.methods or ()) - {"HEAD"}
    }
    described = {(method.upper(), path) for path, methods in document(EVERY)["paths"].items() for method in methods}
    assert len(declared) >= 13
    assert declared == routed == described


def test_every_entry_tells_parameters_body_and_replies() -> None:
    made = document(EVERY)
    for endpoint in EVERY.values():
        for one in endpoint.operations().values():
            if one.path is None:
                continue
            entry = made["paths"][bare(one.path)][str(one.method).lower()]
            types = one.types()
            content = entry["responses"]["200"]["content"]
            assert ("text/event-stream" if one.stream else "application/json") in content, one.qualified
            named = {parameter["name"] for parameter in entry.get("parameters", ()) if parameter["in"] == "path"}
            assert named == set(one.parameters)
            asked = {parameter["name"] for parameter in entry.get("parameters", ()) if parameter["in"] == "query"}
            assert asked == (set(types.query.model_fields) if types.query else set()), one.qualified
            assert ("requestBody" in entry) == (types.body is not None)
            assert entry["responses"]["400"]["content"]["application/json"]["schema"] == {
                "$ref": "#/components/schemas/Error"
            }
            if not one.stream:
                assert entry["operationId"] == one.qualified
                assert entry["summary"] == one.doc.splitlines()[0]
    assert "erase" not in str(made["paths"])  # internal
    assert made["paths"]["/v1/notes"]["post"]["operationId"] == "notes.create"


def test_every_schema_and_reference_in_it_is_valid() -> None:
    made = document(EVERY)
    assert made["openapi"] == "3.1.0"
    todo: list[Any] = [made]
    references = set()
    while todo:
        node = todo.pop()
        if isinstance(node, dict):
            if isinstance(node.get("$ref"), str):
                references.add(node["$ref"])
            todo.extend(node.values())
        elif isinstance(node, list):
            todo.extend(node)
    assert len(references) > 20
    names = {reference.removeprefix("#/components/schemas/") for reference in references}
    assert names <= set(made["components"]["schemas"])
    for schema in made["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)
    identifiers = [entry["operationId"] for path in made["paths"].values() for entry in path.values()]
    assert len(identifiers) == len({*identifiers})


def test_every_reply_names_what_the_api_names() -> None:
    oracle = spec()
    served = document(KERNEL)
    for family in ("chat", "models"):
        good, total, missing = oracle.coverage(served, family)
        assert total > 0
        assert (good, missing) == (total, []), family


def test_conversations_name_what_the_api_names() -> None:
    oracle = spec()
    served = document({"assistants": Assistants, "threads": Threads, "messages": Messages, "runs": Runs})
    good, total, missing = oracle.coverage(served, "assistants")
    assert (good, missing) == (total, [])
    assert total == 5
    good, total, missing = oracle.coverage(served, "threads")
    assert (good, missing) == (total, [])
    assert total == 18


def test_only_what_is_served_is_described() -> None:
    assert {path.split("/")[2] for path in document({"models": Models})["paths"]} == {"models"}
    assert b"/v1/chat" not in describe({"models": ModelsInMemory()})
    assert document({})["paths"] == {}


def test_a_start_does_not_import_the_schemas(tmp_path: Path) -> None:
    script = (
        "import sys\nfrom pathlib import Path\nfrom jan_core.app import Jan\nfrom jan_core.asgi import create_app\n"
        "from jan_core.config import load\nfrom jan_core.discovery import Discovery\n"
        "from jan_core.testing.wired import KERNEL, entry_points\n"
        f"config = load(Path({str(tmp_path)!r}), environ={{}})\n"
        "jan = Jan(config, Discovery(config, entry_points({})))\ncreate_app(jan)\n"
        "assert set(jan.discovery.endpoints) == set(KERNEL)\n"
        "print([name for name in sys.modules if name.startswith('jan_core.schemas.') and not name.endswith('.base')])\n"
    )
    assert told_by(script) == "[]"


def test_a_start_with_the_default_modules_builds_no_schema_and_leaves_those_of_chat_alone(tmp_path: Path) -> None:
    script = (
        "import sys\nfrom pathlib import Path\nfrom jan_core.app import Jan\nfrom jan_core.asgi import create_app\n"
        "from jan_core.config import load\n"
        f"create_app(Jan(load(Path({str(tmp_path)!r}), environ={{}})))\n"
        "from jan_core.schemas.base import Described\n"
        "def under(kind):\n    return [kind, *(one for below in kind.__subclasses__() for one in under(below))]\n"
        "own = [one for one in under(Described) if one.__module__.startswith('jan_core.schemas.')]\n"
        "print(len(own) > 2, [one.__name__ for one in own if one.__pydantic_complete__])\n"
        "print('jan_core.schemas.chat' in sys.modules)\n"
    )
    assert told_by(script) == "True []\nFalse"


def told_by(script: str) -> str:
    root = Path(__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", script], cwd=root, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_schemathesis_reads_it_and_finds_no_5xx(tmp_path: Path) -> None:
    import asyncio

    import schemathesis

    from jan_core.inprocess import client
    from jan_core.testing.wired import EVERYTHING, wired

    jan = wired(tmp_path, {"server": {"log_requests": False}}, modules=EVERYTHING)
    made = document({name: endpoint.declared() for name, endpoint in jan.endpoints.items()})
    schema = schemathesis.openapi.from_dict(made)
    operations = [found.ok() for found in schema.get_all_operations()]
    assert {(one.method.upper(), one.path) for one in operations} == {
        (method.upper(), path) for path, methods in made["paths"].items() for method in methods
    }
    asked: dict[str, int] = {}
    refused: list[str] = []

    async def send(case: Any) -> None:
        arguments = case.as_transport_kwargs(base_url="http://localhost")
        body = {name: arguments[name] for name in ("json", "data") if arguments.get(name) is not None}
        if "data" in body:
            body["content"] = body.pop("data")
        async with jan, client(jan) as http_client:
            headers = {**arguments.get("headers", {}), "content-type": "application/json"}
            reply = await http_client.request(
                arguments["method"], arguments["url"], params=arguments.get("params"), headers=headers, **body
            )
        asked[case.operation.label] = asked.get(case.operation.label, 0) + 1
        if reply.status_code >= 500:
            refused.append(f"{case.operation.label} {reply.status_code} {reply.text} {case.body!r:.300}")
        if reply.headers["content-type"] == "application/json":
            spec().validate(case.operation.method, case.operation.path, reply.status_code, reply.json())

    for operation in operations:
        checks = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]

        @settings(max_examples=12, deadline=None, suppress_health_check=checks, database=None)
        @hypothesis_given(case=operation.as_strategy())
        def run(case: Any) -> None:
            asyncio.run(send(case))

        run()
    assert refused == []
    assert len(asked) == len(operations)
    print(asked)


def test_requests_may_have_further_fields_where_an_endpoint_takes_them() -> None:
    class Taking(ScriptedChat):
        takes_unknown_fields = True

    found = {}
    for name, chat in (("strict", ScriptedChat()), ("taking", Taking())):
        made = json.loads(describe({"chat": chat}))
        body = made["paths"]["/v1/chat/completions"]["post"]["requestBody"]["content"]["application/json"]["schema"]
        schema = made["components"]["schemas"][body["$ref"].rsplit("/", 1)[1]]
        found[name] = schema["additionalProperties"]
        assert schema["properties"]["seed"]["description"]
    assert found["strict"] is False
    assert found["taking"] is not False
