"""The examples in `deploy/`: what they name is there, in Jan, in each other, and under the same names."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml
from jan_postgresql.testing import dsn_for

from jan_core.config import load

REPOSITORY = Path(__file__).parents[1]
DEPLOY = REPOSITORY / "deploy"
PORT = 1337


def compose() -> dict[str, Any]:
    return dict(yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8")))


def kubernetes(kind: str, starting: str = "jan") -> dict[str, Any]:
    documents = yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text("utf-8"))
    (found,) = (one for one in documents if one["kind"] == kind and one["metadata"]["name"].startswith(starting))
    return dict(found)


def instructions() -> list[tuple[str, str]]:
    text = re.sub(r"^#.*\n", "", (DEPLOY / "Dockerfile").read_text("utf-8"), flags=re.MULTILINE)
    lines = text.replace("\\\n", " ").splitlines()
    return [(name, rest.strip()) for name, _, rest in (line.partition(" ") for line in lines) if name]


def variables() -> dict[str, str]:
    """The environment that the image gives."""
    (text,) = (rest for name, rest in instructions() if name == "ENV")
    return dict(pair.split("=", 1) for pair in text.split())


def config(tmp_path: Path, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Any:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return load(tmp_path, DEPLOY / "jan.toml")


def test_the_image_has_every_package_and_an_unprivileged_user() -> None:
    given = instructions()
    assert ("USER", "10001") in given
    assert ("EXPOSE", str(PORT)) in given
    installed = next(rest for name, rest in given if name == "RUN" and "pip install" in rest)
    sources = [one.removeprefix("/source").lstrip("/") for one in installed.split() if one.startswith("/source")]
    for one in sources:
        assert list(REPOSITORY.glob(one)) if one else REPOSITORY.is_dir(), one
    assert {"JAN_ROOT", "JAN_CONFIG"} < variables().keys()


@pytest.mark.parametrize("which", ["compose", "kubernetes"])
def test_its_settings_are_settings_of_jan(which: str, tmp_path: Path) -> None:
    """`jan config show` refuses tables and settings that there are not."""
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
    if which == "compose":
        own = compose()["services"]["jan"]["environment"]
    else:
        (container,) = kubernetes("Deployment")["spec"]["template"]["spec"]["containers"]
        own = {one["name"]: "postgresql://jan@h/jan" for one in container["env"]}
    assert "JAN__JAN_POSTGRESQL__DSN" in own
    command = [sys.executable, "-m", "jan_core.cli", "config", "show", "--json"]
    command += ["--root", str(tmp_path), "--config", str(DEPLOY / "jan.toml")]
    done = subprocess.run(command, capture_output=True, text=True, env={**environment, **own}, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "postgresql://jan@" in done.stdout
    assert json.loads(done.stdout)


def places() -> Iterator[tuple[str, str]]:
    """Where things are mounted, in both."""
    for one in compose()["services"]["jan"]["volumes"]:
        yield "compose", one.removesuffix(":ro").rpartition(":")[2]
    (container,) = kubernetes("Deployment")["spec"]["template"]["spec"]["containers"]
    for mount in container["volumeMounts"]:
        yield "kubernetes", mount["mountPath"]


@pytest.mark.parametrize("which", ["compose", "kubernetes"])
def test_what_is_mounted_is_what_the_settings_name(which: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tables = config(tmp_path, {}, monkeypatch).tables
    mounted = {place for where, place in places() if where == which}
    wanted = [tables["auth-keys"]["file"].value, tables["models-json"]["folder"].value, variables()["JAN_CONFIG"]]
    for path in wanted:
        assert any(Path(path).is_relative_to(place) for place in mounted), path
    assert tables["server"]["port"].value == PORT


def test_compose_names_what_there_is() -> None:
    services = compose()["services"]
    for one in services.values():
        assert set(one.get("depends_on", ())) <= services.keys()
    jan = services["jan"]
    assert (REPOSITORY / "deploy" / jan["build"]["context"] / jan["build"]["dockerfile"]).is_file()
    assert (jan["user"], jan["read_only"]) == ("10001", True)
    assert jan["deploy"]["replicas"] > 1
    assert f"127.0.0.1:{PORT}/health" in jan["healthcheck"]["test"][-1]
    proxy = (DEPLOY / "nginx.conf").read_text("utf-8")
    assert f"server jan:{PORT} resolve;" in proxy
    assert re.search(r"proxy_set_header Host jan;", proxy)
    assert '"jan"' in (DEPLOY / "jan.toml").read_text("utf-8")


def test_kubernetes_names_what_there_is() -> None:
    deployment = kubernetes("Deployment")["spec"]
    pod = deployment["template"]["spec"]
    (container,) = pod["containers"]
    labels = deployment["template"]["metadata"]["labels"]
    assert deployment["selector"]["matchLabels"] == kubernetes("Service")["spec"]["selector"] == labels
    assert kubernetes("PodDisruptionBudget")["spec"]["selector"]["matchLabels"] == labels
    assert {mount["name"] for mount in container["volumeMounts"]} == {one["name"] for one in pod["volumes"]}
    (port,) = container["ports"]
    assert (port["containerPort"], kubernetes("Service")["spec"]["ports"][0]["targetPort"]) == (PORT, port["name"])
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    for name in ("startupProbe", "livenessProbe", "readinessProbe"):
        asked = container[name]["httpGet"]
        assert asked["port"] == port["name"]
        assert asked["path"].partition("?")[0] == "/health"
        assert asked["httpHeaders"] == [{"name": "Host", "value": "localhost"}]
    (claim,) = (one["persistentVolumeClaim"]["claimName"] for one in pod["volumes"] if "persistentVolumeClaim" in one)
    assert claim == kubernetes("PersistentVolumeClaim")["metadata"]["name"]


def test_the_server_with_the_gpu_is_the_one_that_the_settings_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (upstream,) = config(tmp_path, {}, monkeypatch).tables["jan-upstreams"]["upstreams"].value
    found = re.fullmatch(r"http://(\w+):(\d+)/v1", upstream["url"])
    assert found is not None
    name, port = found[1], int(found[2])
    services = compose()["services"]
    assert str(port) in services[name]["command"]
    assert services["jan"]["environment"][upstream["key_env"]] == services[name]["environment"]["VLLM_API_KEY"]
    assert services["proxy"]["depends_on"].keys() == {"jan"}  # Jan serves without it
    pod = kubernetes("Deployment", name)["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    (opened,) = kubernetes("Service", name)["spec"]["ports"]
    assert (opened["port"], container["ports"][0]["containerPort"]) == (port, port)
    assert str(port) in container["args"]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == 1
    (jan,) = kubernetes("Deployment")["spec"]["template"]["spec"]["containers"]
    keys = {one["name"]: one["valueFrom"]["secretKeyRef"] for one in (*jan["env"], *container["env"])}
    assert keys[upstream["key_env"]] == keys["VLLM_API_KEY"]


def test_it_starts_with_these_settings(tmp_path: Path) -> None:
    """Replicas that start at once on a new database: probes are answered, others need a key, and a stranger's name is
    refused.
    """
    settings = (DEPLOY / "jan.toml").read_text("utf-8").replace(f"port = {PORT}", "port = 0")
    settings = settings.replace("/etc/jan-keys/", "").replace('"/models"', '"models"').replace("0.0.0.0", "127.0.0.1")
    (tmp_path / "jan.toml").write_text(settings)
    (tmp_path / "models").mkdir()
    dsn = dsn_for(tmp_path)
    environment = {**os.environ, "JAN__JAN_POSTGRESQL__DSN": dsn, "GPU_KEY": "a-key"}
    command = [sys.executable, "-m", "jan_core.cli"]
    made = [*command, "keys", "add", "deploy", "--root", str(tmp_path)]
    subprocess.run(made, env=environment, check=True, capture_output=True, timeout=60)
    replicas = []
    with ExitStack() as stack:
        for number in range(3):
            root = tmp_path / f"replica-{number}"
            (root / "models").mkdir(parents=True)
            (root / "keys.toml").write_bytes((tmp_path / "keys.toml").read_bytes())
            (root / "keys.toml").chmod(0o600)
            serve = [*command, "serve", "--root", str(root), "--config", str(tmp_path / "jan.toml")]
            output = subprocess.PIPE
            replicas.append(stack.enter_context(subprocess.Popen(serve, env=environment, stdout=output, text=True)))
            stack.callback(replicas[-1].terminate)
        for replica in replicas:
            assert replica.stdout is not None
            address = next(line for line in replica.stdout if "http://" in line)
            (port,) = re.findall(r"http://127\.0\.0\.1:(\d+)", address)
            asked = [("localhost", "/health"), ("jan", "/health"), ("other", "/health"), ("jan", "/v1/threads")]
            statuses = [_status(int(port), host, path) for host, path in asked]
            assert statuses[:2] == [200, 200]
            assert 400 <= statuses[2] < 500
            assert statuses[3] == 401
    with psycopg.connect(dsn) as connection:
        assert connection.execute("SELECT count(*) FROM jan.messages").fetchall() == [(0,)]


def _status(port: int, host: str, path: str) -> int:
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", path, headers={"Host": host})
        return connection.getresponse().status
    finally:
        connection.close()
