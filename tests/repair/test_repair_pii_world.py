"""E-mail, cards, IBAN, addresses, phones, social security numbers: what is found, and what only looks like it."""

from __future__ import annotations

import importlib
import socket
import subprocess
import sys

import pytest

from curation.repair import PiiParams, find
from curation.repair.pii import PiiTypes

PARAMS = PiiParams()
WITH_URLS = PiiParams(types=PiiTypes(url="redact"))


def found(text: str, params: PiiParams = PARAMS) -> list[tuple[str, str]]:
    return [(span.type, text[span.start : span.end]) for span in find(text, params)]


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("Write to mara.voss@kestrelyard.net, please.", [("email", "mara.voss@kestrelyard.net")]),
        ("请联系mara.voss@kestrelyard.net谢谢", [("email", "mara.voss@kestrelyard.net")]),
        ("邮箱:li+news@sub.zju.edu.cn。", [("email", "li+news@sub.zju.edu.cn")]),
        ("<a href='mailto:jo@kestrelyard.net'>", [("email", "jo@kestrelyard.net")]),
        ("**jo@kestrelyard.net**", [("email", "jo@kestrelyard.net")]),
        ("Ｊｏ＠ｋestrelyard.net 全角", [("email", "Ｊｏ＠ｋestrelyard.net")]),
        ("My card is 4532 0151 1283 0366.", [("card", "4532 0151 1283 0366")]),
        ("Visa 4532015112830366 expires soon", [("card", "4532015112830366")]),
        ("Paid: 4532-0151-1283-0366", [("card", "4532-0151-1283-0366")]),
        ("Amex 3714 496353 98431 was charged", [("card", "3714 496353 98431")]),
        ("IBAN GB82 WEST 1234 5698 7654 32 please", [("iban", "GB82 WEST 1234 5698 7654 32")]),
        ("汇到DE89370400440532013000账户", [("iban", "DE89370400440532013000")]),
        ("my iban is gb42nawi04454264788619", [("iban", "gb42nawi04454264788619")]),
        ("The server at 47.98.213.66 is down", [("ip", "47.98.213.66")]),
        ("Host 2606:2800:220:1:248:1893:25c8:1946 answers", [("ip", "2606:2800:220:1:248:1893:25c8:1946")]),
        ("Call me on (212) 736-5000 tonight", [("phone", "(212) 736-5000")]),
        ("+44 20 7946 0958 is the office", [("phone", "+44 20 7946 0958")]),
        ("我在伦敦的电话是+44 20 7946 0958。", [("phone", "+44 20 7946 0958")]),
        ("My SSN is 460-89-9847.", [("ssn", "460-89-9847")]),
    ],
)
def test_found(text: str, want: list[tuple[str, str]]) -> None:
    assert found(text) == want


@pytest.mark.parametrize(
    "text",
    [
        "user@example.com, info@shop.example.org, a@b.test, you@yourdomain.com, name@company.com",
        "noreply@kestrelyard.net, git@github.com:org/repo, your.name@gmail.com",
        "pip install pkg@1.2.3, @decorator, me@localhost, foo@bar, @user mentioned",
        "Order number 4532015112830366 has shipped.",
        "card 4532015112830367 fails the check digit; card 1111 1111 1111 1111 too",
        "127.0.0.1, 0.0.0.0, 192.168.1.10, 10.0.0.7, 172.16.3.4, 255.255.255.0, 224.0.0.251, 198.51.100.7",
        "version 1.2.3.4, release 20.4.1.99, v47.98.213.66, section 3.2.1.4; 8.8.8.8 and 1.1.1.1",
        "std::vector<int>, a::b, 12:30:45, 00:1B:44:11:3A:B7, fe80::1, ::1",
        "GB82 WEST 1234 5698 7654 33 has a wrong check",
        "Call 212-555-0142 in the film, or the hotline 1-800-273-8255.",
        "Dial 800-273-8255 or 911.",
        "2021-03-05, 05/03/2021, 1990-2005, 12.05.2021, ISBN 978-3-16-148410-0",
        "It costs $1,234,567.89 or 1 234 567 units; 3*33011356 = 99034068",
        "Work out 2930861750638 plus 52341951985411.",
        "my number 123-456-7890 is a dummy",
        "Invoice 460-89-9847 is no social number",
        "Population: 1400000000 (2020), id 20231105123456",
        "https://www.kestrelyard.net/path is no personal data by default",
        "x = 1234567890; y = [10, 200, 3000, 40000]",
    ],
)
def test_not_found(text: str) -> None:
    assert found(text) == []


def test_urls_only_when_asked_for() -> None:
    text = "见 https://www.kestrelyard.net/a?b=1。另见 www.zju.edu.cn/x, (http://kestrelyard.net/y)."
    assert found(text) == []
    assert found(text, WITH_URLS) == [
        ("url", "https://www.kestrelyard.net/a?b=1"), ("url", "www.zju.edu.cn/x"), ("url", "http://kestrelyard.net/y")
    ]  # fmt: skip


def test_kinds_that_are_off_are_not_looked_for() -> None:
    params = PiiParams(types=PiiTypes(email="off"))
    assert found("jo@kestrelyard.net 13916273845", params) == [("phone", "13916273845")]


def test_spans_do_not_overlap_and_the_surer_wins() -> None:
    assert [s.type for s in find("身份证11010519491231002X", PiiParams())] == ["id_card"]
    assert found("postgres://svc:Tq7mZ2px@db.kestrelyard.net/x") == [("password", "Tq7mZ2px")]


def test_no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    from curation.repair import recognisers

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the network was used")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    recognisers._all.cache_clear()
    assert found("a.b@kestrelyard.co.uk") == [("email", "a.b@kestrelyard.co.uk")]


def test_patterns_need_no_model_and_hide_none() -> None:
    """presidio would load torch and transformers, most of what its import takes; whoever wants them afterwards gets them."""
    program = (
        "import sys; from curation.repair.recognisers import recognised; assert recognised('email', 'a.b@kestrelyard.co.uk');"
        "assert not {'torch', 'transformers'} & set(sys.modules), 'loaded'; import importlib.util as u;"
        "assert u.find_spec('torch') and u.find_spec('transformers'), 'hidden'"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_what_is_loaded_stays_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    from curation.repair.recognisers import _without

    monkeypatch.setitem(sys.modules, "torch", sys)
    monkeypatch.delitem(sys.modules, "colorsys", raising=False)
    with _without("torch", "colorsys"):
        assert sys.modules["torch"] is sys
        with pytest.raises(ImportError):
            importlib.import_module("colorsys")
    assert sys.modules["torch"] is sys
    importlib.import_module("colorsys")
