"""An OpenAI-compatible client that never asks twice: request cache, retries, budget, concurrency.

The endpoint is `OPENAI_BASE_URL` with `OPENAI_API_KEY`, or a URL in params, or, by default, a local server that starts
when the first answer is really missing. The key goes into the request's header and nowhere else.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlsplit

import orjson
from pydantic import Field

from curation import models
from curation.cache import Cache
from curation.completion import Answer, Request, longest
from curation.errors import EndpointError
from curation.params import Params

if TYPE_CHECKING:
    from openai import OpenAI

LONGEST_PAUSE = 60.0  # seconds between two tries, whatever the endpoint asks for
_KEY_LENGTH = 8  # shorter "keys" (none, EMPTY, x) are placeholders that may stand in any text


class EndpointParams(Params):
    """Where answers come from, and how many may be asked for. Cached answers count towards the budget (see `Endpoint`)."""

    section: ClassVar[str] = "synthesize"  # of params.yaml, for messages

    endpoint: str = "local"  # or a base URL, http(s)://host/v1; with `local`, OPENAI_BASE_URL goes first when it is set
    model: str = "smollm2-135m-instruct"
    concurrency: int = Field(1, ge=1, le=64)
    retries: int = Field(4, ge=0)  # tries after the first, for what may pass: 429, 5xx, no connection
    backoff: float = Field(1.0, ge=0)  # seconds before the first retry; doubled before each next one
    timeout: float = Field(600.0, gt=0)  # seconds for one request
    max_requests: int = Field(1000, ge=0)
    max_tokens: int = Field(1_000_000, ge=0)  # prompt and completion together


class Endpoint:
    """Answers requests, from the cache where they are stored.

    `open_` gives (base URL, model name there) and is called before the first request that is not stored. The budget is
    spent in the order of the requests and counts stored answers as it did when they were asked, so that a run that was
    interrupted ends where one that was not would have. What lies beyond it gets `budget`; so does all that comes after.
    """

    def __init__(self, identity: str, open_: Callable[[], tuple[str, str]], params: EndpointParams) -> None:
        self.identity = identity
        self.params = params
        self.asked = 0  # requests that went out and were answered, in this process
        self.cached = 0  # distinct requests that the cache answered
        self._open = open_
        self._cache = Cache("requests")
        self._client: OpenAI | None = None
        self._url = self._model = ""
        self._key = os.environ.get("OPENAI_API_KEY") or "none"
        self._stop = threading.Event()
        self._paid: dict[str, Answer] = {}
        self._failures: list[str] = []
        self._requests = self._tokens = 0
        self._spent = False

    def ask(self, requests: Sequence[Request]) -> list[Answer]:
        """An answer for each request, in order. Raises EndpointError when the endpoint itself does not serve."""
        keys = [request.key(self.identity) for request in requests]
        stored = {key: Answer(**orjson.loads(value)) for key, value in self._cache.get(dict.fromkeys(keys)).items()}
        flying: dict[Future[Answer], tuple[str, int]] = {}
        with contextlib.ExitStack() as unfinished:
            unfinished.callback(self._stop.set)  # no try waits for its next turn any more
            for key, request in zip(keys, requests, strict=True):
                if key in self._paid or any(key == other for other, _ in flying.values()):
                    continue
                while flying and (len(flying) >= self.params.concurrency or not self._fits(request, flying)):
                    self._land(flying)
                if self._spent or not self._fits(request, flying):
                    self._spent = True
                    continue
                self._requests += 1
                if key in stored:
                    self.cached += 1
                    self._pay(key, stored[key], longest(request))
                    continue
                self._connect()
                flying[self._begin(request)] = (key, longest(request))
            while flying:
                self._land(flying)
            unfinished.pop_all()
        beyond = Answer(
            failure="budget", detail=f"max_requests {self.params.max_requests}, max_tokens {self.params.max_tokens}"
        )
        return [self._paid.get(key, beyond) for key in keys]

    def check(self) -> None:
        """Raises EndpointError when requests failed and none was answered: then the fault is hardly theirs."""
        if self._failures and not self.asked and not self.cached:
            raise EndpointError(
                f"{_shown(self._url)}: every request failed, the first with {self._failures[0]}. Accepted: chat completions "
                f"for model {self._model!r}; check the model's name and the endpoint's log, then run again."
            )

    def close(self) -> None:
        self._stop.set()
        if self._client is not None:
            self._client.close()
        self._cache.close()

    def _fits(self, request: Request, flying: dict[Future[Answer], tuple[str, int]]) -> bool:
        """Whether the budget allows it even if all that is under way comes out as long as it can."""
        pending = sum(most for _, most in flying.values())
        return (
            self._requests < self.params.max_requests
            and self._tokens + pending + longest(request) <= self.params.max_tokens
        )

    def _pay(self, key: str, answer: Answer, most: int) -> None:
        """Count an answer's tokens, or `most` for one whose endpoint did not count them."""
        self._paid[key] = answer
        counted = answer.prompt_tokens + answer.completion_tokens
        self._tokens += counted or (most if answer.failure is None else 0)

    def _begin(self, request: Request) -> Future[Answer]:
        """Try in a thread that does not outlive an interrupted process: an executor's threads are waited for."""
        future: Future[Answer] = Future()

        def work() -> None:
            try:
                future.set_result(self._try(request))
            except BaseException as error:  # whatever it is, it is for the thread that waits
                future.set_exception(error)

        threading.Thread(target=work, daemon=True).start()
        return future

    def _land(self, flying: dict[Future[Answer], tuple[str, int]]) -> None:
        """Take in what has arrived; an answer is stored before anything else happens to it."""
        arrived = wait(flying, return_when=FIRST_COMPLETED).done
        fatal: BaseException | None = None
        for future in sorted(arrived, key=lambda f: flying[f]):
            key, most = flying.pop(future)
            if (error := future.exception()) is not None:
                fatal = fatal or error
                continue
            answer = future.result()
            if answer.failure is None:
                entry = {k: v for k, v in asdict(answer).items() if k not in {"failure", "detail"}}
                self._cache.put({key: orjson.dumps(entry)})
                self.asked += 1
            else:
                self._failures.append(answer.detail)
            self._pay(key, answer, most)
        if fatal is not None:
            raise fatal

    def _connect(self) -> None:
        if self._client is not None:
            return
        from openai import DefaultHttpxClient, OpenAI

        self._url, self._model = self._open()
        loopback = urlsplit(self._url).hostname in {"127.0.0.1", "localhost", "::1"}
        self._client = OpenAI(
            base_url=self._url,
            api_key=self._key,
            max_retries=0,  # retried here, where the pause can be ended
            timeout=self.params.timeout,
            http_client=DefaultHttpxClient(trust_env=not loopback),  # a proxy cannot reach this machine's loopback
        )

    def _try(self, request: Request) -> Answer:
        """One request with its retries. Transient trouble that stays is the endpoint's; 4xx and a lasting 500 are the request's."""
        import openai

        for turn in range(self.params.retries + 1):
            try:
                return self._send(request)
            except openai.APIStatusError as error:
                problem, code = f"HTTP {error.status_code}", error.status_code
                if code in {401, 402, 403, 404} or getattr(error, "code", None) == "insufficient_quota":
                    raise self._refusal(error) from None
                if code != 408 and code != 429 and code < 500:
                    return Answer(failure="request_failed", detail=self._said(error))
                pause = _asked_pause(error.response.headers.get("retry-after"))
                last: openai.OpenAIError = error
            except openai.APIConnectionError as error:  # time-outs are among them
                late = isinstance(error, openai.APITimeoutError)
                problem = f"no answer within {self.params.timeout:g} s" if late else "no connection"
                code, pause, last = 0, 0.0, error
            except openai.APIError as error:
                raise self._strange(type(error).__name__) from None
            except ValueError:  # a body that says JSON and is not, or not whole
                raise self._strange("an answer that is no JSON") from None
            pause = min(LONGEST_PAUSE, max(pause, self.params.backoff * 2**turn))
            if turn < self.params.retries and self._stop.wait(pause):
                break
        if code == 500 and isinstance(last, openai.APIStatusError):
            return Answer(failure="request_failed", detail=self._said(last))
        raise EndpointError(
            f"{_shown(self._url)}: {problem}, also after {self.params.retries} more tries. Accepted: an OpenAI-compatible "
            "endpoint that is up; start it or mend OPENAI_BASE_URL, then run again: stored answers are kept."
        )

    def _send(self, request: Request) -> Answer:
        assert self._client is not None
        sampling: dict[str, Any] = {"max_tokens": request.max_tokens, "temperature": request.temperature}
        if request.temperature > 0:
            sampling["seed"] = request.seed or 0
        messages: Any = [{"role": role, "content": content} for role, content in request.messages]
        completion = self._client.chat.completions.create(model=self._model, messages=messages, **sampling)
        try:
            choice = completion.choices[0]
            text, finish = choice.message.content or "", choice.finish_reason or ""
        except (AttributeError, IndexError, TypeError):
            raise self._strange("an answer without choices") from None
        if not isinstance(text, str):
            raise self._strange("an answer whose content is no text")
        prompt, answer = (getattr(completion.usage, name, None) for name in ("prompt_tokens", "completion_tokens"))
        if not isinstance(prompt, int) or not isinstance(answer, int):
            prompt = answer = 0  # not counted there: see _pay
        return Answer(self._hidden(text), finish, prompt, answer)

    def _refusal(self, error: Any) -> EndpointError:
        # The body is left out for keys: endpoints like to quote them.
        where = f"{_shown(self._url)}: HTTP {error.status_code}"
        if error.status_code == 404:
            return EndpointError(
                f"{where} for model {self._model!r}. Accepted: a base URL that ends where /chat/completions begins (usually "
                f"/v1) and a model that it serves; mend OPENAI_BASE_URL or {self.params.section}.model."
            )
        if error.status_code in {402, 429}:
            return EndpointError(
                f"{where}, the quota is used up. Accepted: an account with quota left; pay or change it, then run again: "
                "stored answers are kept."
            )
        given = "the key in OPENAI_API_KEY was refused" if self._key != "none" else "OPENAI_API_KEY is not set"
        return EndpointError(
            f"{where}, {given}. Accepted: a key with a right to model {self._model!r}; set OPENAI_API_KEY in the environment."
        )

    def _strange(self, found: str) -> EndpointError:
        return EndpointError(
            f"{_shown(self._url)}: found {found}, which is no chat completion. Accepted: the base URL of an OpenAI-compatible "
            "endpoint, such as http://host:8000/v1; mend OPENAI_BASE_URL."
        )

    def _said(self, error: Any) -> str:
        return self._hidden(f"HTTP {error.status_code}: {' '.join(str(error.message).split())}")[:300]

    def _hidden(self, text: str) -> str:
        return text.replace(self._key, "[key]") if len(self._key) >= _KEY_LENGTH else text


@contextlib.contextmanager
def connect(params: EndpointParams) -> Iterator[Endpoint]:
    """The endpoint that params and environment name; a local server is started only for what is not stored.

    Raises EndpointError for an unusable address, and at the end when every request failed (write results after that).
    """
    from curation.serve import local_server

    named = params.endpoint if params.endpoint != "local" else os.environ.get("OPENAI_BASE_URL", "").strip()
    if not named:
        with local_server(params.model, section=params.section) as start:
            yield from _held(Endpoint(models.identity(params.model), start, params))
        return
    where = "OPENAI_BASE_URL" if params.endpoint == "local" else f"{params.section}.endpoint"
    url = _checked(named, params.section, where)
    yield from _held(Endpoint(f"{_shown(url)} {params.model}", lambda: (url, params.model), params))


def _held(endpoint: Endpoint) -> Iterator[Endpoint]:
    try:
        yield endpoint
        endpoint.check()
    finally:
        endpoint.close()


def _checked(url: str, section: str, where: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise EndpointError(
            f"{where}: found {_shown(url)!r}; accepted: http(s)://host/v1 (or `local` in {section}.endpoint); mend it."
        )
    return url.rstrip("/")


def _shown(url: str) -> str:
    """The URL without user, password and query, which may be secrets."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl().rstrip("/")


def _asked_pause(header: str | None) -> float:
    try:
        return max(0.0, float(header or 0))
    except ValueError:  # a date
        return 0.0
