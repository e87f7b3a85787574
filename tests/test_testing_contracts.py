from __future__ import annotations

from importlib.metadata import EntryPoint

import pytest

from jan_core.refusal import Refusal
from jan_core.testing.contract.models import ModelsContract
from jan_core.testing.contracts import GROUP, contract_of

RIGHT = EntryPoint("models", "jan_core.testing.contract.models:ModelsContract", GROUP)


def test_a_contract_is_found_by_its_endpoints_name() -> None:
    assert contract_of("models", "a test") is ModelsContract
    assert contract_of("models", "a test", [RIGHT, RIGHT]) is ModelsContract
    assert contract_of("nowhere", "a test") is None


@pytest.mark.parametrize(
    ("value", "cause"),
    [
        ("jan_nowhere:Contract", "fails to import"),
        ("jan_core.testing.contract.models:ModelsCase", "is no contract"),
        ("jan_core.testing.contract.models:PATH", "fails to import"),
    ],
)
def test_one_that_cannot_be_used_is_refused(value: str, cause: str) -> None:
    with pytest.raises(Refusal) as caught:
        contract_of("models", "a test", [EntryPoint("models", value, GROUP)])
    facts = caught.value.facts()
    assert facts["asked"] == "a test"
    assert cause in facts["cause"]
    assert value in facts["answers"]


def test_two_are_refused() -> None:
    other = EntryPoint("models", "jan_own:Own", GROUP)
    with pytest.raises(Refusal, match=r"two contracts are installed .* 'models'") as caught:
        contract_of("models", "a test", [RIGHT, other])
    assert "jan_own:Own" in caught.value.answers
