"""The library ctransformers called directly, through its own Python package.

    python -m tests.benchmarks.references.ctransformers '{"path": …, "context": …, "threads": …, "batch": …}'

For each line of stdin, `{"prompt": …, "tokens": …}`, it prints a line of JSON: `seconds` that reading the prompt and
writing that many tokens took, and the `text`.
"""

from __future__ import annotations

import json
import sys
import time

from ctransformers.llm import LLM, Config  # type: ignore[import-untyped]


def main() -> None:
    """Load the model, say so, and answer lines until stdin ends."""
    given = json.loads(sys.argv[1])
    config = Config(
        context_length=given["context"],
        threads=given["threads"],
        batch_size=given["batch"],
        top_k=1,
        top_p=1.0,
        temperature=1.0,
    )
    model = LLM(given["path"], config=config)
    print(json.dumps({"loaded": True}), flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        began = time.monotonic()
        # The library's own loop, but that it goes on where the model would end: the tokens are counted.
        model.eval(model.prepare_inputs_for_generation(model.tokenize(asked["prompt"])))
        text = b""
        for _ in range(asked["tokens"]):
            token = model.sample()
            model.eval([token])
            text += model.detokenize([token], decode=False)
        seconds = time.monotonic() - began
        print(json.dumps({"seconds": seconds, "text": text.decode("utf-8", "replace")}), flush=True)


if __name__ == "__main__":
    main()
