from __future__ import annotations

import pytest

from jan_core import call
from jan_core.call import Call
from jan_core.schemas.embeddings import EmbeddingRequest
from jan_core.testing.scripted_embeddings import WIDTH, ScriptedEmbeddings


@pytest.mark.anyio
async def test_a_vector_counts_bytes() -> None:
    context = Call("req_1")
    call.enter(context)
    body = EmbeddingRequest.model_validate({"model": "scripted", "input": ["aaa", "b"]})
    first, second = (await ScriptedEmbeddings().create(body)).data
    assert len(first.embedding) == WIDTH
    assert isinstance(first.embedding, list)
    assert isinstance(second.embedding, list)
    assert first.embedding.index(max(first.embedding)) == ord("a") % WIDTH
    assert second.embedding.index(max(second.embedding)) == ord("b") % WIDTH
    assert (context.prompt_tokens, context.completion_tokens) == (4, 0)
