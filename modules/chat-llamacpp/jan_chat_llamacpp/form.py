"""The form that an answer must have: which grammar, and who tells calls from text."""

from __future__ import annotations

from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Any, Literal

from jan_chat_llamacpp.call_text import AFTER_ARGUMENTS, BEFORE_ARGUMENTS, BEFORE_NAME, BEGIN, END
from jan_chat_llamacpp.grammar import Grammar, literal, until
from jan_chat_llamacpp.grammar_check import check_rules, first_characters
from jan_chat_llamacpp.json_rules import use
from jan_chat_llamacpp.schema import SchemaRules
from jan_chat_llamacpp.schema_words import unsupported
from jan_chat_llamacpp.template_facts import THOUGHT, TemplateFacts
from jan_chat_llamacpp.tools import Calling

if TYPE_CHECKING:
    from jan_core.schemas.chat import ChatCompletionRequest


@dataclass(frozen=True)
class Form:
    """What an answer looks like."""

    calling: Calling
    reader: Literal["none", "engine", "own"] = "none"
    """Who finds the calls: nobody, for there are none; the engine, for its template knows them; or `CallReader`."""
    grammar: str | None = None
    thoughts: Literal["none", "may", "must"] = "none"
    """Whether thoughts are to be told from the answer, and whether it begins within them; see `ThoughtReader`."""


PLAIN = Form(Calling())
"""Any text."""

_MOST_KNOWN = 32
_lock = Lock()
_known: dict[tuple[str, str, TemplateFacts, bool], Form] = {}
"""Forms that were asked for lately, the oldest first."""


def form_of(body: ChatCompletionRequest, calling: Calling, facts: TemplateFacts, *, thinks: bool) -> Form:
    """The form that a request asks for. With many tools this takes a while: call it in a thread.

    Args:
        body: the request.
        calling: what it says of calls.
        facts: what the model's template can do.
        thinks: False where the request has turned thinking off.

    Raises:
        UnsupportedSchema, TooLarge: a schema cannot be enforced.
    """
    wanted = body.response_format
    if calling.mode == "none" and (wanted is None or wanted.type == "text"):
        return PLAIN if facts.thoughts == "none" else Form(calling, thoughts=_begin(facts, thinks))
    # An agent asks with the same tools again and again.
    key = (repr(wanted), repr(calling), facts, thinks)
    known = _known.get(key)
    if known is None:
        known = _form(wanted, calling, facts, thinks=thinks)
        with _lock:
            if len(_known) >= _MOST_KNOWN:
                del _known[next(iter(_known))]
            _known[key] = known
    return known


def _form(wanted: Any, calling: Calling, facts: TemplateFacts, *, thinks: bool) -> Form:
    if calling.mode == "auto" and facts.tools == "other" and (wanted is None or wanted.type == "text"):
        for tool in calling.tools:
            if tool.strict:  # the engine does not refuse what it cannot enforce
                grammar = Grammar()
                check_rules(grammar, SchemaRules(grammar, tool.parameters, tool.at, strict=True).add())
        return Form(calling, "engine")
    grammar = Grammar()
    answer = _answer_rule(grammar, wanted)
    if calling.mode == "none":
        start = [[answer or use(grammar, "object")]]
    elif calling.mode == "required":
        start = [_call_tokens(grammar, calling)]
    elif answer is not None:
        start = [[answer], _call_tokens(grammar, calling)]
    else:
        start = [[until(grammar, "text", BEGIN, _call_tokens(grammar, calling)[1:], may_end=True)]]
    grammar.add("answer", start)
    check_rules(grammar, "answer")
    thoughts = facts.thoughts if thinks else "none"
    if thoughts == "none":
        root = [["answer"]]
    else:
        thought = until(grammar, "thought", THOUGHT[1], ["blank{0,4}", "answer"], may_end=False)
        grammar.add("blank", [['"\\n"']])
        root = [[thought]] if thoughts == "must" else [["answer"], [literal(THOUGHT[0]), thought]]
    grammar.add("root", root)
    return Form(calling, "none" if calling.mode == "none" else "own", grammar.text(), _begin(facts, thinks))


def _begin(facts: TemplateFacts, thinks: bool) -> Literal["none", "may", "must"]:
    return "may" if facts.thoughts == "must" and not thinks else facts.thoughts


def _answer_rule(grammar: Grammar, wanted: Any) -> str | None:
    if wanted is None or wanted.type == "text":
        return None
    if wanted.type == "json_object" or wanted.json_schema.schema_ is None:
        return use(grammar, "object")
    return SchemaRules(grammar, wanted.json_schema.schema_, "response_format.json_schema.schema", strict=True).add()


def _call_tokens(grammar: Grammar, calling: Calling) -> list[str]:
    """The tokens of one call or more, of which the first is the mark that it begins with."""
    if "call" not in grammar.rules:
        bodies = []
        for tool in calling.tools:
            arguments = SchemaRules(grammar, tool.parameters, tool.at, strict=tool.strict).add()
            bodies.append([literal(BEFORE_NAME + tool.name + BEFORE_ARGUMENTS), arguments])
        grammar.add("call", bodies)
        firsts = first_characters(grammar)
        for tool, (_, arguments) in zip(calling.tools, bodies, strict=True):
            if firsts[arguments] - {"{"}:
                unsupported(tool.at, "the arguments of a function are an object; say its `type`.")
        grammar.add("next-call", [[literal("\n" + BEGIN), "call", literal(AFTER_ARGUMENTS + END)]])
    tokens = [literal(BEGIN), "call", literal(AFTER_ARGUMENTS + END)]
    return tokens if calling.most == 1 else [*tokens, f"next-call{{0,{calling.most - 1}}}"]
