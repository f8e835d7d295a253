"""The soak's requests fit the border, and what an engine does with them is counted."""

import httpx
import msgspec

from benchmarks.soak import CLOSE_EVERY, NONSENSE_EVERY, REPAIR_EVERY, Soak
from model.engine import api


async def test_every_request_is_counted_once_by_how_it_ended():
    bodies: dict[str, list[bytes]] = {"/v1/denoise": [], "/v1/repair": []}

    def answer(request: httpx.Request) -> httpx.Response:
        number = sum(map(len, bodies.values()))
        bodies[request.url.path].append(request.content)
        if number == 7:
            raise httpx.ReadError("gone")
        if number % NONSENSE_EVERY == 1:
            return httpx.Response(400, content=api.encode_event(api.Error(code="bad_request", sentence="No.")))
        end = api.Repaired(num_findings=0, forwards=1, engine_ms=1.0, reason="finished")
        return httpx.Response(200, content=b"" if number == 8 else api.encode_event(end))

    soak = Soak(seed=1)
    async with httpx.AsyncClient(transport=httpx.MockTransport(answer), base_url="http://seedling") as http:
        for number in range(101):
            await soak.ask(http, number)
    num_closed = len(range(2, 101, CLOSE_EVERY))
    assert soak.answers["closed"] == num_closed
    assert soak.answers["bad_request"] == 1
    assert soak.num_unanswered == 2, "one that broke off, one without any event"
    assert soak.answers["ReadError"] == 1
    assert sum(soak.answers.values()) == 101
    assert len(bodies["/v1/repair"]) == len(range(0, 101, REPAIR_EVERY))
    for body in bodies["/v1/repair"]:
        assert msgspec.json.decode(body, type=api.RepairRequest).text.count("\n") == 12
    whole = [body for body in bodies["/v1/denoise"] if body.endswith(b"}")]
    prompts = [msgspec.json.decode(body, type=api.DenoiseRequest).prompt for body in whole]
    assert len({prompt.prefix for prompt in prompts}) > 90
    assert all(prompt.tail.endswith("\n") for prompt in prompts)
