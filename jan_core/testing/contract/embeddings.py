"""The contract of `embeddings`. The prose is in `docs/contract/embeddings.md`."""

from __future__ import annotations

import asyncio
import base64
import itertools
import math
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from jan_core.endpoint import Endpoint
from jan_core.endpoints.embeddings import Embeddings
from jan_core.errors import ContextLengthExceeded, InvalidRequest, JanError, ModelNotFound
from jan_core.schemas.embeddings import EmbeddingRequest
from jan_core.testing.contract.case import Broken, Case, holds, same, settled, written
from jan_core.testing.contract.clauses import Contract, clause
from jan_core.testing.contract.hostile import TEXTS
from jan_core.testing.contract.streams import StreamCase
from jan_core.testing.contract.watch import Watch

PATH = "/embeddings"
TOO_MANY = 1 << 20
"""More numbers than any vector has."""
Vector = list[float]


class EmbeddingsCase(StreamCase):
    """An app with a model that makes vectors."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._directly = itertools.cycle((True, False))

    async def fields(self, given: Any, **more: Any) -> dict[str, Any]:
        """The body of a request."""
        return {"model": await self.model(), "input": given, **more}

    async def body(self, given: Any, **more: Any) -> EmbeddingRequest:
        """The same as an object."""
        return EmbeddingRequest.model_validate(await self.fields(given, **more))

    async def made(self, given: Any, **more: Any) -> dict[str, Any]:
        """The reply, by turns directly and over HTTP."""
        if next(self._directly):
            return dict(written(await self.ask("embeddings.create", await self.body(given, **more))))
        status, told = await self.send("POST", PATH, await self.fields(given, **more))
        if status != 200:
            raise Broken(f"POST {PATH} answered {status}: {told}")
        return dict(told)

    async def vectors(self, given: Any, **more: Any) -> list[Vector]:
        """The vectors, as numbers."""
        return [floats(one["embedding"]) for one in (await self.made(given, **more))["data"]]


class EmbeddingsWatch(Watch):
    """Looks at `embeddings.create`: a vector for each text, in its place, of length 1 and as wide as asked for."""

    def answered(self, reply: Any) -> None:
        """See `Watch`."""
        super().answered(reply)
        body = self.arguments["body"]
        given = body.input
        wanted = len(given) if isinstance(given, list) and not isinstance(given[0], int) else 1
        same("the indexes", [one.index for one in reply.data], list(range(wanted)))
        same("the model", reply.model, body.model)
        same("the total of tokens", reply.usage.total_tokens, reply.usage.prompt_tokens)
        vectors = [floats(one.embedding) for one in reply.data]
        kinds = {type(one.embedding) for one in reply.data}
        same("the form of the vectors", kinds, {str if body.encoding_format == "base64" else list})
        widths = {len(vector) for vector in vectors}
        same("how many numbers the vectors have", widths, {body.dimensions or len(vectors[0])})
        for vector in vectors:
            holds(math.isclose(math.hypot(*vector), 1, rel_tol=1e-3), f"a vector has the length {math.hypot(*vector)}")


class EmbeddingsContract(Contract):
    """What every implementation of `embeddings` keeps.

    Attributes:
        model: the id of the model to ask; None for the first one that `models` lists.
        too_long: what does not fit its context.
    """

    endpoint: ClassVar[type[Endpoint]] = Embeddings
    letter: ClassVar[str] = "E"
    case: ClassVar[type[Case]] = EmbeddingsCase
    live: ClassVar[Mapping[str, type[Watch]]] = {"create": EmbeddingsWatch}
    model: ClassVar[str | None] = None
    too_long: ClassVar[str] = "word " * 100_000

    def opened(self, folder: Path) -> Case:
        """See `Contract`."""
        case = super().opened(folder)
        assert isinstance(case, StreamCase)
        case.model_id = self.model
        return case

    @clause
    async def test_01_a_reply_is_complete(self, case: EmbeddingsCase) -> None:
        """The reply is a list with a vector for each text, numbered from 0, the model, and the tokens it read."""
        for texts in (["one", "two", "three"], ["one"], "one"):
            for _ in range(2):
                found = await case.made(texts)
                told = (found["object"], found["model"])
                same("object and model", told, ("list", await case.model()))
                wanted = 1 if isinstance(texts, str) else len(texts)
                same("the indexes", [one["index"] for one in found["data"]], list(range(wanted)))
                same("the objects", {one["object"] for one in found["data"]}, {"embedding"})
                usage = found["usage"]
                holds(usage["prompt_tokens"] >= wanted, f"a text has a token at least: {usage}")
                same("the total of tokens", usage["total_tokens"], usage["prompt_tokens"])

    @clause
    async def test_02_each_text_has_its_own_vector(self, case: EmbeddingsCase) -> None:
        """A text has the same vector alone and among others, in its place; another text has another one."""
        texts = ["one two three", "the sea is wide", "one two three", "a"]
        found = await case.vectors(texts)
        for text, vector in zip(texts, found, strict=True):
            (alone,) = await case.vectors(text)
            holds(_near(vector, alone) > 0.99, f"the vector of {text!r} is another one among others than alone")
        holds(_near(found[0], found[1]) < 0.999, "different texts have different vectors")
        holds(_near(found[0], found[3]) < 0.999, "different texts have different vectors")

    @clause
    async def test_03_vectors_have_the_length_1(self, case: EmbeddingsCase) -> None:
        """Every vector has the length 1, and all of a model have as many numbers."""
        found = await case.vectors(["one two three", "a", "Grüße, 你好", "the sea " * 20])
        for vector in found:
            holds(math.isclose(math.hypot(*vector), 1, rel_tol=1e-3), f"a vector has the length {math.hypot(*vector)}")
        same("how many numbers they have", {len(vector) for vector in found}, {len(found[0])})

    @clause
    async def test_04_numbers_or_base64(self, case: EmbeddingsCase) -> None:
        """`encoding_format` gives numbers, or the base64 of the same as 32-bit floats, little-endian."""
        for _ in range(2):
            kinds = {}
            for form in (None, "float", "base64"):
                more = {} if form is None else {"encoding_format": form}
                (one,) = (await case.made("one two three", **more))["data"]
                kinds[form] = type(one["embedding"])
                vector = floats(one["embedding"])
                (plain,) = await case.vectors("one two three")
                holds(_apart(vector, plain) < 1e-3, f"the vector as {form} is another one")
            same("the kinds", kinds, {None: list, "float": list, "base64": str})

    @clause
    async def test_05_fewer_dimensions(self, case: EmbeddingsCase) -> None:
        """`dimensions` cuts the vector to so many numbers, and makes it as long as 1 again, in either form."""
        (whole,) = await case.vectors("one two three")
        for width in (1, 5, len(whole)):
            length = math.hypot(*whole[:width])
            wanted = [number / length for number in whole[:width]]
            for form in ("float", "base64"):
                (short,) = await case.vectors("one two three", dimensions=width, encoding_format=form)
                same("how many numbers there are", len(short), width)
                holds(_apart(short, wanted) < 0.02, f"{width} numbers as {form} are not the first ones, of length 1")

    @clause
    async def test_06_no_more_dimensions_than_there_are(self, case: EmbeddingsCase) -> None:
        """More `dimensions` than the model's vectors have are refused, 400; nothing is filled up."""
        (whole,) = await case.vectors("one")
        for width in (len(whole) + 1, TOO_MANY):
            body = await case.body("one", dimensions=width)
            await case.refused(InvalidRequest, "embeddings.create", body, param="dimensions", status=400)

    @clause
    async def test_07_texts_may_be_tokens(self, case: EmbeddingsCase) -> None:
        """A text may be given as its tokens, one or several, and each counts."""
        for _ in range(2):
            found = await case.made([[5, 6, 7], [8]])
            same("vectors and tokens", (len(found["data"]), found["usage"]["prompt_tokens"]), (2, 4))
            one = await case.made([5, 6, 7])
            same("vectors and tokens of one text", (len(one["data"]), one["usage"]["prompt_tokens"]), (1, 3))
            first, alone = floats(found["data"][0]["embedding"]), floats(one["data"][0]["embedding"])
            holds(_near(first, alone) > 0.99, "the same tokens have the same vector")

    @clause
    async def test_08_unknown_tokens_are_refused(self, case: EmbeddingsCase) -> None:
        """A token's number that is not in the model's vocabulary is refused, 400, naming the place."""
        for given, place in (([5, 2**31 - 1], "input"), ([[5], [6, 2**31 - 1]], "input[1]")):
            body = await case.body(given)
            refusal = await case.refused(InvalidRequest, "embeddings.create", body, status=400)
            holds((refusal.param or "").startswith(place), f"{given} is refused naming {refusal.param!r}, not {place}")
        same("the next reply", len((await case.made("one"))["data"]), 1)

    @clause
    async def test_09_what_does_not_fit_is_refused(self, case: EmbeddingsCase) -> None:
        """A text that does not fit is refused, 400, `context_length_exceeded`, naming it; no text is cut."""
        for given, place in ((self.too_long, "input"), (["a", self.too_long], "input[1]")):
            expected = {"param": place, "code": "context_length_exceeded", "status": 400}
            await case.refused(ContextLengthExceeded, "embeddings.create", await case.body(given), **expected)
            status, told = await case.send("POST", PATH, await case.fields(given))
            same("over HTTP", (status, told["error"]["param"]), (400, place))
        same("the next reply", len((await case.made("one"))["data"]), 1)

    @clause
    async def test_10_an_unknown_model_is_not_found(self, case: EmbeddingsCase) -> None:
        """A model that is not there is refused: 404, `model_not_found`; ids that are paths or commands find nothing."""
        body = await case.body("one", model="no-such-model")
        expected = {"code": "model_not_found", "param": "model", "status": 404}
        await case.refused(ModelNotFound, "embeddings.create", body, **expected)
        for id in case.hostile_ids():
            if not 0 < len(id) <= 256 or "\ud800" in id:
                continue  # no request has such a model
            refusal = await case.refused(JanError, "embeddings.create", await case.body("one", model=id))
            holds(refusal.status in (400, 404), f"the model {id[:50]!a} is refused with {refusal.status}")
        same("files outside of the root", case.escaped(), [])
        same("the next reply", len((await case.made("one"))["data"]), 1)

    @clause
    async def test_11_every_text_has_a_vector(self, case: EmbeddingsCase) -> None:
        """Every text has a vector, whatever scripts, controls or marks it holds, and however many there are."""
        texts = [one for one in TEXTS if len(one) < 100] * 2
        found = await case.vectors(texts)
        same("vectors", len(found), len(texts))
        for text, one, other in zip(texts, found, found[len(texts) // 2 :], strict=False):
            holds(_near(one, other) > 0.99, f"the text {text!r}, given twice, has two vectors")

    @clause
    async def test_12_requests_at_once_are_not_mixed(self, case: EmbeddingsCase) -> None:
        """Requests at once get each its own vectors, as they would alone."""
        texts = ["one two three", "the sea is wide", "a", "red green blue"]
        alone = [(await case.vectors(text))[0] for text in texts]
        found = await settled([case.vectors([text, "beside"]) for text in texts * 2])
        for text, wanted, (vector, _) in zip(texts * 2, alone * 2, found, strict=True):
            holds(_near(vector, wanted) > 0.99, f"the vector of {text!r} is another one beside other requests")

    @clause
    async def test_13_the_call_is_told_its_tokens(self, case: EmbeddingsCase) -> None:
        """The call is told the tokens that were read, as in `usage`, and that none were written."""
        reply, context = await case.counted("embeddings.create", await case.body(["one two three", "a"]))
        told = (context.prompt_tokens, context.completion_tokens or 0)
        same("the call's tokens", told, (reply.usage.prompt_tokens, 0))
        one, two = (await case.made(["one"]))["usage"], (await case.made(["one", "one"]))["usage"]
        same("the tokens of a text given twice", two["prompt_tokens"], 2 * one["prompt_tokens"])

    @clause
    async def test_14_requests_and_replies_are_the_callers_own(self, case: EmbeddingsCase) -> None:
        """A request is not changed by being answered, and who changes a reply changes no later one."""
        body = await case.body(["one", "two"], dimensions=5)
        before = body.model_copy(deep=True)
        first = await case.ask("embeddings.create", body)
        kept = [list(floats(one.embedding)) for one in first.data]
        for one in first.data:
            one.embedding.clear()
        first.data.clear()
        again = await case.ask("embeddings.create", body)
        same("the request, afterwards", body, before)
        same("vectors, the second time", len(again.data), 2)
        for vector, one in zip(kept, again.data, strict=True):
            holds(_apart(vector, floats(one.embedding)) < 0.02, "a reply was changed by who got an earlier one")

    @clause
    async def test_15_giving_up_ends_the_request(self, case: EmbeddingsCase) -> None:
        """A request that is cancelled ends soon, nothing of it goes on, and the next one is answered."""
        (wanted,) = await case.vectors("one two three")
        before = asyncio.all_tasks()
        for after in (0, 0.01, 0.1):
            await case.given_up(case.ask("embeddings.create", await case.body(["one two three " * 10] * 20)), after)
            await case.quiet(before)
        (found,) = await case.vectors("one two three")
        holds(_near(found, wanted) > 0.99, "the next reply is another one")


def floats(vector: list[float] | str) -> Vector:
    """A vector as numbers, in whichever form it came.

    Raises:
        Broken: it is no base64 of 32-bit floats.
    """
    if not isinstance(vector, str):
        return vector
    try:
        raw = base64.b64decode(vector, validate=True)
        return list(struct.unpack(f"<{len(raw) // 4}f", raw))
    except (ValueError, struct.error) as error:
        raise Broken(f"{vector[:50]!r} is not the base64 of 32-bit floats: {error}") from None


def _near(one: Vector, other: Vector) -> float:
    """The cosine of the angle between two vectors of length 1; 0 where they have not as many numbers."""
    return sum(a * b for a, b in zip(one, other, strict=True)) if len(one) == len(other) else 0.0


def _apart(one: Vector, other: Vector) -> float:
    """How far two vectors are apart, at most, in any of their numbers."""
    return max(abs(a - b) for a, b in zip(one, other, strict=True)) if len(one) == len(other) else math.inf
