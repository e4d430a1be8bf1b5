"""Personal data and secrets: found by form and checksum, replaced by placeholders that stay the same in a conversation.

International kinds come from presidio-analyzer's pattern recognisers, used one by one without a language model and
without the network; Chinese ones from `pii_zh`, keys and passwords from `secrets`. What documents and private networks
use by agreement (example.com, 192.168.0.1, 555-0100, version 1.2.3.4) is nobody's and stays.
"""

from __future__ import annotations

import re
from functools import cached_property
from itertools import chain
from typing import Literal

from curation.params import Params
from curation.repair import pii_world, pii_zh, secrets
from curation.repair.span import Span, without_overlaps

Action = Literal["redact", "drop", "tag", "off"]


class PiiTypes(Params):
    """What happens to each kind. `redact`: a placeholder takes its place. `tag`: the row gets `pii:<type>`.

    `drop`: the row gets `pii_drop:<type>`, by which clean drops it. `off`: not looked for.
    """

    email: Action = "redact"
    phone: Action = "redact"
    card: Action = "redact"  # credit and bank cards
    iban: Action = "redact"
    ip: Action = "redact"
    url: Action = "off"
    ssn: Action = "redact"  # United States
    id_card: Action = "redact"  # 身份证
    passport: Action = "redact"
    plate: Action = "redact"  # 车牌
    company_code: Action = "redact"  # 统一社会信用代码
    qq: Action = "redact"
    wechat: Action = "redact"  # 微信号
    api_key: Action = "redact"
    token: Action = "redact"  # noqa: S105 - an action; JSON web tokens, bearer tokens
    private_key: Action = "redact"
    password: Action = "redact"  # noqa: S105


class PiiParams(Params):
    """`params.yaml: repair.pii`."""

    types: PiiTypes = PiiTypes()

    @cached_property
    def wanted(self) -> frozenset[str]:
        """The kinds that are looked for."""
        return frozenset(kind for kind, action in self.types if action != "off")


def find(text: str, params: PiiParams) -> list[Span]:
    """Values of the kinds that are not `off`, in the order of the text, none overlapping another."""
    wanted = params.wanted
    plain = _WIDE.sub(lambda m: chr(ord(m[0]) - 0xFEE0), text) if not text.isascii() else text
    every = chain(secrets.find(plain), pii_zh.find(plain), pii_world.find(plain, urls="url" in wanted))
    found = [span for span in every if span.type in wanted]
    return without_overlaps(found) if found else []


_WIDE = re.compile("[０-９Ａ-Ｚａ-ｚ＠＋－．（）]")
