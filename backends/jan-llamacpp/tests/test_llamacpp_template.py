from __future__ import annotations

import pytest
from jan_llamacpp.template import HarmfulTemplate, check

GOOD = [
    "{% for m in messages %}<{{ m['role'] }}>{{ m.content }}{% endfor %}{% if add_generation_prompt %}<a>{% endif %}",
    "{{ bos_token }}{% for m in messages %}{{ m['content'] | trim }}{% endfor %}{{ eos_token }}",
    "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system messages') }}{% endif %}x",
    "{% set ns = namespace(a=1) %}{% for m in messages %}{% set ns.a = ns.a + 1 %}"
    "{% if ns.a > 3 %}{% break %}{% endif %}{% endfor %}{{ ns.a }}",
    "{{ messages | tojson }}{{ strftime_now('%d %b %Y') }}",
    "{% if tools is not none %}{{ tools | tojson(indent=4) }}{% endif %}",
    "{% macro role(m) %}{{ m['role'] | upper }}{% endmacro %}{{ role(messages[0]) }}",
]
MISTAKES = ["{% if %}", "{{ nothing.at.all }}", "{{ messages[99].content }}", "{{ 1 / 0 if false }}", "{{ 'a' + 1 }}"]
HARMFUL = [
    ("{{ ''.__class__.__mro__ }}", "sandbox"),
    ("{{ cycler.__init__.__globals__.os.system('true') }}", "sandbox"),
    ("{{ raise_exception.__globals__ }}{{ raise_exception.__globals__['x'] }}", "sandbox"),
    ("{{ messages.append(1) }}", "sandbox"),
    ("{% for i in range(10**9) %}{% endfor %}", "counts too far"),
    ("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "without end"),
]


@pytest.mark.parametrize("source", [*GOOD, *MISTAKES])
def test_what_templates_do_is_let_through_and_mistakes_are_the_engines_business(source: str) -> None:
    check(source)


@pytest.mark.parametrize(("source", "why"), HARMFUL)
def test_what_no_template_needs_is_refused(source: str, why: str) -> None:
    with pytest.raises(HarmfulTemplate, match=why):
        check(source)


def test_what_hides_behind_a_second_message_is_found() -> None:
    with pytest.raises(HarmfulTemplate):
        check("{% if messages | length > 1 %}{{ ''.__class__.__mro__ }}{% endif %}")


def test_a_mistake_on_one_conversation_does_not_hide_harm_on_another() -> None:
    with pytest.raises(HarmfulTemplate):
        check(
            "{% if messages | length == 1 %}{{ raise_exception('x') }}{% else %}{{ ''.__class__.__mro__ }}{% endif %}"
        )


@pytest.mark.parametrize("where", ["tools", "tools[0].function.parameters.properties", "messages[1].tool_calls"])
def test_harm_that_shows_only_with_tools_is_found(where: str) -> None:
    check("{% if WHERE is defined %}{{ messages[0].content }}{% endif %}".replace("WHERE", where))
    with pytest.raises(HarmfulTemplate):
        check("{% if WHERE %}{{ ''.__class__.__mro__ }}{% endif %}".replace("WHERE", where))
