from __future__ import annotations

import pytest
from jan_workers.template import HarmfulTemplate, TemplateFailed, check, environment, mistake, render


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("{{ ''.__class__.__mro__ }}", "sandbox"),
        ("{% for n in range(999999999) %}{% endfor %}", "counts too far"),
        ("{{ messages.__init__.__globals__ }}", "sandbox"),
    ],
)
def test_what_no_template_needs_is_refused(source: str, reason: str) -> None:
    with pytest.raises(HarmfulTemplate, match=reason):
        check(source)


@pytest.mark.parametrize("source", ["{{ messages[0].content }}", "{% if %}", "{{ nothing.at.all }}", "{{ 1 / 'a' }}"])
def test_mistakes_are_judged_by_whoever_renders(source: str) -> None:
    check(source)


def test_where_a_template_cannot_be_read() -> None:
    assert mistake("{{ messages }}") is None
    assert str(mistake("a\nb\n{% if %}")).startswith("line 3: ")
    assert "nosuch" in str(mistake("{{ 1 | nosuch }}"))


def test_what_templates_expect() -> None:
    source = (
        "{% for m in messages %}{% if loop.index > 1 %}{% break %}{% endif %}{{ m | tojson }}{% endfor %}"
        "{{ bos_token }}{{ strftime_now('%Y') | length }}{% if add_generation_prompt %}!{% endif %}"
    )
    said = [{"role": "user", "content": "ü"}, {"role": "user", "content": "b"}]
    assert render(environment().from_string(source), said, bos_token="<s>") == '{"role": "user", "content": "ü"}<s>4!'


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("{{ raise_exception('roles must alternate') }}", "roles must alternate"),
        ("{{ messages.nothing.more }}", "nothing"),
        ("{{ 1 // 0 }}", "zero"),
        ("{{ ''.__class__.__mro__ }}", "unsafe"),
    ],
)
def test_why_messages_cannot_be_rendered(source: str, reason: str) -> None:
    with pytest.raises(TemplateFailed, match=reason):
        render(environment().from_string(source), [])
