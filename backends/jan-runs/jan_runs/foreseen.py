"""What would certainly fail a run is refused when it is asked for: whoever asks is told at once, and nothing is stored.

That is a model that is not there, a form of the answer that no engine can keep to, and a message that no model can be
shown. What needs files is no such thing: the run begins, and says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from jan_core import call
from jan_core.errors import InvalidRequest, JanError, ModelNotFound
from jan_core.schemas.tools import AssistantFunctionTool
from jan_runs.notes import Notes
from jan_runs.prompt import Prompt, unreadable

if TYPE_CHECKING:
    from jan_core.app import Jan
    from jan_core.schemas.messages import Message
    from jan_core.schemas.runs import Run
    from jan_runs.tools import Toolbox


DEEPEST = 4
"""Own runs of assistants that may be inside each other: each takes a process."""


async def refuse(
    jan: Jan, run: Run, toolbox: Toolbox, *, parameters: dict[str, Any], additional: Sequence[Message]
) -> None:
    """Return where a run may begin. No engine is asked.

    Args:
        jan: the running app.
        run: what is to begin.
        toolbox: tells whether the assistant has a `run` of its own, which needs no model.
        parameters: settings that hold for it besides, as in `Notes.parameters`.
        additional: its `additional_messages`.

    Raises:
        InvalidRequest: the model is not there (`model_not_found`), or cannot be asked like this, or one of the messages
            needs files (`not_supported`); or too many runs wait for it (`runs_too_deep`).
    """
    caller = call.current()
    if caller is not None and caller.depth > DEEPEST:
        raise InvalidRequest(
            f"The run is asked for from within {caller.depth} runs of assistants' own code, each waiting for the "
            f"next; {DEEPEST} is the most. Mend the code that asks for a run of an assistant that asks for it again.",
            code="runs_too_deep",
        )
    for index, message in enumerate(additional):
        why = unreadable(message)
        if why is not None:
            raise InvalidRequest(
                f"additional_messages[{index}]: the model cannot be shown it: {why}. Send its text only.",
                param=f"additional_messages[{index}]",
                code="not_supported",
            )
    try:
        await _ask(jan, run, parameters)
    except JanError as error:
        if error.status >= 500 or await _needs_no_model(toolbox, run):
            return
        if isinstance(error, ModelNotFound):
            raise InvalidRequest(error.message, param="model", code=error.code) from None
        raise


async def _ask(jan: Jan, run: Run, parameters: dict[str, Any]) -> None:
    if "models" in jan.endpoints:
        await jan.models.locate(run.model)
    functions = [tool for tool in run.tools if isinstance(tool, AssistantFunctionTool)]
    if not functions and not parameters and run.response_format in (None, "auto"):
        return  # nothing is left that an engine could refuse, and most runs are begun so
    # What it chooses was looked at, and may be one of the assistant's own.
    plain = run.model_copy(update={"tools": functions, "tool_choice": "auto"})
    await jan.chat.check(Prompt(plain, Notes(parameters=parameters), []).request(1, None))


async def _needs_no_model(toolbox: Toolbox, run: Run) -> bool:
    """True also where the code is broken: then the run says so."""
    try:
        return await toolbox.has_run(run.assistant_id)
    except JanError:
        return True
