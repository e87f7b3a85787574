from __future__ import annotations

import pytest
from jan_runs.tools import Toolbox


def test_a_toolbox_says_what_it_has_and_carries_it_out() -> None:
    with pytest.raises(TypeError, match="call.*tools"):
        Toolbox()  # type: ignore[abstract]
