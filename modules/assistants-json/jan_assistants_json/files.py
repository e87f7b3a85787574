"""The files of assistants as they are now."""

from __future__ import annotations

from jan_assistants_json.document import MODEL, assistant_of
from jan_core.folder.layout import ASSISTANT_FILE, Layout
from jan_core.folder.records import Records
from jan_core.schemas.assistants import Assistant


class AssistantFiles(Records[Assistant]):
    """The assistants of one root, read. May be used by several threads at once.

    Args:
        layout: of the root.
    """

    def __init__(self, layout: Layout) -> None:
        super().__init__(Assistant, ASSISTANT_FILE, MODEL, assistant_of, layout.assistant_folder)
