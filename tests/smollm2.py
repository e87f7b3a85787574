"""What tests know of the real model's vocabulary."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

ENDS = (0, 2, 4)
"""The tokens that end an answer: `<|endoftext|>`, `<|im_end|>` and, as llama.cpp sees it, `<reponame>`."""

GO_ON: dict[str, Any] = {"logit_bias": {str(token): -100 for token in ENDS}}
"""Fields of a request whose answer is to have as many tokens as it may, whatever is drawn."""

ENGINE_GO_ON: dict[str, Any] = {"logit_bias": [[token, -100] for token in ENDS]}
"""The same in the engine's own format."""


def linked(root: Path, model: Path, *, engine: str, **settings: int) -> None:
    """Make a root folder with a link to the model, and the engine's settings."""
    folder = root / "models" / "smollm2-135m-instruct"
    folder.mkdir(parents=True, exist_ok=True)
    link = folder / model.name
    if not link.is_symlink():
        link.symlink_to(model)
    table = "".join(f"{name} = {value}\n" for name, value in settings.items())
    (folder / "model.json").write_text(json.dumps({"engine": engine.removeprefix("jan-")}))
    (root / "jan.toml").write_text(f"[{engine}]\n{table}")
