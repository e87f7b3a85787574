"""What `jan doctor` says of traces."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jan_core.check import Check, Verdict
from jan_tracing_otel.sending import Later, Refused

if TYPE_CHECKING:
    from jan_tracing_otel.tracing import Tracing


def checks(tracing: Tracing) -> list[Check]:
    """One check: a batch without spans is taken."""

    def reached() -> Verdict:
        name = tracing.sender.name
        try:
            destination = tracing.destination()
            try:
                destination.send([])
            finally:
                destination.close()
        except (Later, Refused, OSError) as error:
            remedy = "Start the collector, or mend endpoint under [tracing-otel] in jan.toml."
            return Verdict(False, f"traces do not reach {name}: {error}", remedy)
        return Verdict(True, f"traces reach {name}")

    return [Check("traces", reached)]
