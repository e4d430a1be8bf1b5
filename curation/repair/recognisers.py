"""presidio-analyzer's pattern recognisers, one by one: without a language model, and without the network."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any


def recognised(kind: str, value: str) -> bool:
    """True when presidio's recogniser of this kind takes the whole of `value`."""
    recogniser = _all()[kind]
    found = recogniser.analyze(value, recogniser.supported_entities, None)
    return any(r.start == 0 and r.end == len(value) and r.score > 0 for r in found)


@contextmanager
def _without(*packages: str) -> Iterator[None]:
    """Within it, those of `packages` that are not loaded yet cannot be imported; after it, they can.

    presidio and the spaCy under it load torch and transformers where they are installed, for engines that find names
    with a model. The patterns have no use for them, and they are three quarters of the five seconds that the import takes.
    """
    hidden = [name for name in packages if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]  # None there makes an import fail
    try:
        yield
    finally:
        for name in hidden:
            sys.modules.pop(name, None)


@cache
def _all() -> dict[str, Any]:
    """One presidio recogniser for each kind, made when first needed: the import takes a second."""
    import tldextract

    with _without("torch", "transformers"):
        from presidio_analyzer import Pattern
        from presidio_analyzer.predefined_recognizers import (
            CreditCardRecognizer,
            EmailRecognizer,
            IbanRecognizer,
            IpRecognizer,
            UrlRecognizer,
            UsSsnRecognizer,
        )

    suffixes = tldextract.TLDExtract(cache_dir=None, suffix_list_urls=())  # the bundled snapshot, never the network

    class OfflineEmail(EmailRecognizer):
        def validate_result(self, pattern_text: str) -> bool:
            return suffixes(pattern_text.rpartition("@")[2]).fqdn != ""

    class OfflineUrl(UrlRecognizer):
        def validate_result(self, pattern_text: str) -> bool:
            found = suffixes(pattern_text)
            return found.fqdn != "" or bool(found.ipv4)

    return {
        "email": OfflineEmail(),
        # presidio's own pattern has neither 12 nor 19 digits nor Mastercard's 2-series; its checksum stays.
        "card": CreditCardRecognizer(patterns=[Pattern("card", "[0-9 -]+", 0.3)]),
        "iban": IbanRecognizer(),
        "ip": IpRecognizer(),
        "url": OfflineUrl(patterns=[Pattern("url", r"\S+", 0.5)]),
        "ssn": UsSsnRecognizer(),
    }
