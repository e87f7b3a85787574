"""The contract of `runs`. The prose is in `docs/contract/runs.md`."""

from __future__ import annotations

from jan_core.testing.contract.runs_beginning import RunsBeginning
from jan_core.testing.contract.runs_breaking import RunsBreaking
from jan_core.testing.contract.runs_ending import RunsEnding
from jan_core.testing.contract.runs_going import RunsGoing
from jan_core.testing.contract.runs_listing import RunsListing
from jan_core.testing.contract.runs_storing import RunsStoring
from jan_core.testing.contract.runs_streaming import RunsStreaming
from jan_core.testing.contract.runs_tools import RunsTools


class RunsContract(
    RunsBeginning, RunsGoing, RunsTools, RunsEnding, RunsStreaming, RunsListing, RunsStoring, RunsBreaking
):
    """What every implementation of `runs` keeps."""
