from __future__ import annotations

from typing import Any

import pytest
from jan_upstreams import Upstreams
from jan_upstreams.doctor import checks
from jan_upstreams.settings import UpstreamSettings, UpstreamsSettings

from jan_core.check import Verdict
from tests.upstreams.process import Scripted


def verdict(url: str, **settings: Any) -> Verdict:
    one = UpstreamSettings(name="one", url=url, connect_seconds=2, **settings)
    (check,) = checks(Upstreams(UpstreamsSettings(upstreams=[one]), None))
    assert check.name == "upstream one"
    return check.run()


def test_each_is_looked_at_once_however_many_modules_ask() -> None:
    settings = [UpstreamSettings(name=name, url="http://gpu1/v1") for name in ("one", "other")]
    upstreams = Upstreams(UpstreamsSettings(upstreams=settings), None)
    assert [one.name for one in checks(upstreams)] == ["upstream one", "upstream other"]
    assert checks(upstreams) == []


def test_what_is_told_of_a_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THEIR_KEY", "sk-secret")
    with Scripted(models=["a", "b"]) as behind:
        assert verdict(behind.url) == Verdict(True, "it has 2 models")
        assert verdict(behind.url, models=["a"]).ok
        missing = verdict(behind.url, models=["a", "c"])
        assert (missing.ok, missing.why) == (False, "it does not list c")
        assert missing.remedy == f"curl {behind.url}/models"
        behind.control(key="another")
        refused = verdict(behind.url, key_env="THEIR_KEY")
        assert not refused.ok
        assert "does not take the key" in refused.why
        assert "sk-secret" not in refused.why + refused.remedy
        behind.control(fault={"kind": "html", "everywhere": True}, key=None)
        assert "does not list its models" in verdict(behind.url).why
        named = verdict(behind.url, models=["a"])
        assert named.ok, "a server need not list what is named"
        assert "its models are named" in named.why
        url = behind.url
    gone = verdict(url)
    assert (gone.ok, "cannot be reached" in gone.why) == (False, True)
