"""The client against a real HTTP server in a thread: retries, cache, budget, concurrency, exact errors, and no key anywhere."""

from __future__ import annotations

import json
import logging
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from curation.completion import Answer, Request
from curation.endpoint import Endpoint, EndpointParams, connect
from curation.errors import EndpointError

KEY = "sk-secret-0123456789"


class Scripted:
    """A chat-completions server: answers `echo: <last message>` after the statuses in `script` are used up."""

    def __init__(self) -> None:
        self.script: list[tuple[int, dict[str, Any]]] = []
        self.bodies: list[dict[str, Any]] = []
        self.keys: list[str] = []
        self.pause = 0.0
        self.raw: bytes | None = None
        self.kind = "text/html"  # of `raw`
        self.at_once = self.most_at_once = 0
        scripted = self
        lock = threading.Lock()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                with lock:
                    body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                    scripted.bodies.append(body)
                    scripted.keys.append(self.headers["Authorization"])
                    scripted.at_once += 1
                    scripted.most_at_once = max(scripted.most_at_once, scripted.at_once)
                    status, answer = scripted.script.pop(0) if scripted.script else (200, None)
                time.sleep(scripted.pause)
                said = body["messages"][-1]["content"]
                answer = answer or {
                    "id": "1", "object": "chat.completion", "created": 0, "model": body["model"],
                    "choices": [{"index": 0, "message": {"role": "assistant", "content": f"echo: {said}"}, "finish_reason": "stop"}],
                    "usage": {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12},
                }  # fmt: skip
                payload = scripted.raw if scripted.raw is not None else json.dumps(answer).encode()
                with lock:
                    scripted.at_once -= 1
                self.send_response(status)
                self.send_header("Content-Type", "application/json" if scripted.raw is None else scripted.kind)
                self.send_header("Content-Length", str(len(payload)))
                self.end_headers()
                self.wfile.write(payload)

            def log_message(self, *_: Any) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()


@pytest.fixture
def scripted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scripted]:
    monkeypatch.setenv("CURATION_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    server = Scripted()
    monkeypatch.setenv("OPENAI_BASE_URL", server.url)
    yield server
    server.server.shutdown()
    server.server.server_close()


def params(**given: Any) -> EndpointParams:
    return EndpointParams(**({"model": "tiny", "backoff": 0.0} | given))


def request(text: str, **given: Any) -> Request:
    return Request((("system", "Be brief."), ("user", text)), **({"max_tokens": 16} | given))


def failure(status: int, message: str = "no", code: str | None = None) -> tuple[int, dict[str, Any]]:
    return status, {"error": {"message": message, "code": code}}


def test_answers_come_in_order_and_are_asked_once(scripted: Scripted) -> None:
    with connect(params()) as model:
        answers = model.ask([request("a"), request("b"), request("a")])
        assert model.ask([request("b")]) == [answers[1]]
    assert [a.text for a in answers] == ["echo: a", "echo: b", "echo: a"]
    assert answers[0] == Answer("echo: a", "stop", 5, 7)
    assert (model.asked, model.cached) == (2, 0)
    assert scripted.bodies[0] == {
        "model": "tiny",
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "a"}],
        "max_tokens": 16,
        "temperature": 0.0,
    }
    assert scripted.keys == [f"Bearer {KEY}"] * 2
    with connect(params(concurrency=3)) as again:
        assert again.ask([request("b"), request("a")]) == [answers[1], answers[0]]
    assert (again.asked, again.cached, len(scripted.bodies)) == (0, 2, 2)


def test_sampling_and_model_are_part_of_the_cache_key(scripted: Scripted) -> None:
    with connect(params()) as model:
        model.ask([request("a"), request("a", max_tokens=17), request("a", temperature=0.5, seed=3)])
        model.ask([request("a", seed=4)])  # a seed means nothing to greedy decoding
    with connect(params(model="other")) as model:
        model.ask([request("a")])
    assert len(scripted.bodies) == 4
    assert scripted.bodies[2]["seed"] == 3


def test_what_may_pass_is_tried_again(scripted: Scripted) -> None:
    scripted.script = [failure(429), failure(500), failure(503)]
    with connect(params()) as model:
        assert model.ask([request("a")])[0].text == "echo: a"
    assert len(scripted.bodies) == 4


def test_what_does_not_pass_is_said_with_place_and_remedy(scripted: Scripted) -> None:
    scripted.script = [failure(503)] * 3
    with pytest.raises(EndpointError) as error, connect(params(retries=2)) as model:
        model.ask([request("a")])
    assert str(error.value) == (
        f"{scripted.url}: HTTP 503, also after 2 more tries. Accepted: an OpenAI-compatible endpoint that is up; start it "
        "or mend OPENAI_BASE_URL, then run again: stored answers are kept."
    )


def test_no_connection(scripted: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    monkeypatch.setenv("OPENAI_BASE_URL", f"http://someone:{KEY}@127.0.0.1:{port}/v1?token={KEY}")
    with pytest.raises(EndpointError) as error, connect(params(retries=0)) as model:
        model.ask([request("a")])
    assert str(error.value).startswith(f"http://127.0.0.1:{port}/v1: no connection, also after 0 more tries.")


def test_time_out(scripted: Scripted) -> None:
    scripted.pause = 0.5
    with (
        pytest.raises(EndpointError, match=r"no answer within 0\.1 s, also after 0 more tries"),
        connect(params(retries=0, timeout=0.1)) as model,
    ):
        model.ask([request("a")])


@pytest.mark.parametrize(
    ("status", "code", "text"),
    [
        (401, None, "HTTP 401, the key in OPENAI_API_KEY was refused. Accepted: a key with a right to model 'tiny'; set "
                    "OPENAI_API_KEY in the environment."),
        (404, None, "HTTP 404 for model 'tiny'. Accepted: a base URL that ends where /chat/completions begins (usually /v1) "
                    "and a model that it serves; mend OPENAI_BASE_URL or synthesize.model."),
        (429, "insufficient_quota", "HTTP 429, the quota is used up. Accepted: an account with quota left; pay or change it, "
                                    "then run again: stored answers are kept."),
    ],
)  # fmt: skip
def test_refusals_are_final(scripted: Scripted, status: int, code: str | None, text: str) -> None:
    scripted.script = [failure(status, f"Incorrect API key provided: {KEY}", code)]
    with pytest.raises(EndpointError) as error, connect(params()) as model:
        model.ask([request("a")])
    assert str(error.value) == f"{scripted.url}: {text}"
    assert len(scripted.bodies) == 1


def test_a_missing_key_is_named(scripted: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    scripted.script = [failure(401)]
    with pytest.raises(EndpointError, match="HTTP 401, OPENAI_API_KEY is not set"), connect(params()) as model:
        model.ask([request("a")])


def test_a_bad_request_is_its_own_failure(scripted: Scripted) -> None:
    scripted.script = [failure(400, f"too long for {KEY}"), (200, {}), failure(500)]
    scripted.script[1] = (200, None)  # type: ignore[assignment]
    with connect(params(retries=0)) as model:
        answers = model.ask([request("a"), request("b"), request("c")])
    assert [a.failure for a in answers] == ["request_failed", None, "request_failed"]
    assert "too long for [key]" in answers[0].detail
    with connect(params()) as model:  # failures are not stored
        assert [a.text for a in model.ask([request("a"), request("c")])] == ["echo: a", "echo: c"]


def test_when_every_request_fails_the_endpoint_is_at_fault(scripted: Scripted) -> None:
    scripted.script = [failure(400, "unknown field"), failure(400, "unknown field")]
    with (
        pytest.raises(EndpointError, match="every request failed, the first with HTTP 400: .*unknown field"),
        connect(params()) as model,
    ):
        model.ask([request("a"), request("b")])


def test_something_else_than_an_endpoint(scripted: Scripted) -> None:
    scripted.raw = b"<html>Welcome</html>"
    with (
        pytest.raises(EndpointError, match="found an answer without choices, which is no chat completion"),
        connect(params()) as model,
    ):
        model.ask([request("a")])


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"choices": [{"index": 0, "mess', "an answer that is no JSON"),
        (
            b'{"choices": [{"message": {"role": "assistant", "content": [{"type": "text", "text": "a"}]}}]}',
            "an answer whose content is no text",
        ),
    ],
)
def test_strange_json_is_one_line(scripted: Scripted, body: bytes, said: str) -> None:
    scripted.raw, scripted.kind = body, "application/json"
    with pytest.raises(EndpointError) as error, connect(params()) as model:
        model.ask([request("a")])
    assert str(error.value) == (
        f"{scripted.url}: found {said}, which is no chat completion. Accepted: the base URL of an OpenAI-compatible "
        "endpoint, such as http://host:8000/v1; mend OPENAI_BASE_URL."
    )


def test_an_address_without_scheme(scripted: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "localhost:8000/v1")
    with pytest.raises(EndpointError) as error, connect(params()):
        pass
    assert str(error.value) == (
        "OPENAI_BASE_URL: found 'localhost:8000/v1'; accepted: http(s)://host/v1 (or `local` in synthesize.endpoint); mend it."
    )


def test_the_budget_ends_cleanly_and_repeats_from_the_cache(scripted: Scripted) -> None:
    asked = [request(text) for text in "abcd"]
    with connect(params(max_requests=2)) as model:
        first = model.ask(asked)
        assert model.ask([request("e")])[0].failure == "budget"
    assert [a.failure for a in first] == [None, None, "budget", "budget"]
    with connect(params(max_requests=2, concurrency=4)) as model:
        assert model.ask(asked) == first
    assert len(scripted.bodies) == 2
    with connect(params(max_requests=0)) as model:
        assert [a.failure for a in model.ask(asked)] == ["budget"] * 4


@pytest.mark.parametrize("concurrency", [1, 4])
def test_the_token_budget_is_never_passed(scripted: Scripted, concurrency: int) -> None:
    # Each request takes 12 tokens and might take 16 + 42 (its bytes and two turns).
    with connect(params(max_tokens=58 + 2 * 12, concurrency=concurrency)) as model:
        answers = model.ask([request(text) for text in "abcde"])
    assert [a.failure for a in answers] == [None, None, None, "budget", "budget"]


@pytest.mark.parametrize("usage", [None, {}, {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}])
def test_what_the_endpoint_does_not_count_is_counted_at_its_longest(scripted: Scripted, usage: Any) -> None:
    answer = {"choices": [{"index": 0, "message": {"role": "assistant", "content": "Yes."}, "finish_reason": "stop"}]}
    scripted.script = [(200, answer if usage is None else answer | {"usage": usage})] * 5
    for _ in range(2):  # the second time from the cache
        with connect(params(max_tokens=2 * 58)) as model:
            answers = model.ask([request(text) for text in "abcde"])
        assert [a.failure for a in answers] == [None, None, "budget", "budget", "budget"]
    assert len(scripted.bodies) == 2


def test_concurrency_is_kept(scripted: Scripted) -> None:
    scripted.pause = 0.05
    with connect(params(concurrency=3)) as model:
        answers = model.ask([request(str(i)) for i in range(9)])
    assert [a.text for a in answers] == [f"echo: {i}" for i in range(9)]
    assert scripted.most_at_once == 3


def test_answers_are_stored_when_they_come(scripted: Scripted) -> None:
    scripted.script = [(200, None), (200, None), failure(401)]  # type: ignore[list-item]
    with pytest.raises(EndpointError), connect(params()) as model:
        model.ask([request(text) for text in "abc"])
    with connect(params()) as model:
        model.ask([request(text) for text in "abc"])
    assert (model.asked, model.cached) == (1, 2)


def test_the_key_is_nowhere(scripted: Scripted, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    scripted.script = [failure(500, KEY), (200, None)]  # type: ignore[list-item]
    with connect(params()) as model:
        assert model.ask([request(f"say {KEY}")])[0].text == "echo: say [key]"
    assert KEY not in caplog.text.replace(f"say {KEY}", "")
    stored = b"".join(path.read_bytes() for path in (tmp_path / "cache").iterdir())
    assert b"echo: say" in stored
    assert KEY.encode() not in stored


def test_no_server_is_opened_for_what_is_stored(scripted: Scripted) -> None:
    with connect(params()) as model:
        first = model.ask([request("a")])
    identity = model.identity

    def never() -> tuple[str, str]:
        raise AssertionError("opened")

    endpoint = Endpoint(identity, never, params())
    assert endpoint.ask([request("a")]) == first
    endpoint.close()
