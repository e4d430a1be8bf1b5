"""The words of the page in both languages, and how its numbers are written."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import yaml
from markupsafe import Markup

TEMPLATES = Path(__file__).parent / "templates"
# Characters that no reader sees but that change how text stands: shown by signs of their own.
_INVISIBLE = (
    {c: 0x2400 + c for c in range(0x20) if c not in (0x09, 0x0A, 0x0D)}
    | {0x7F: 0x2421}
    | dict.fromkeys(range(0x80, 0xA0), 0xFFFD)
)


def from_yaml(path: Path) -> Any:
    """The content of a file of the project's, by libyaml where PyYAML has it: ten times as fast."""
    return yaml.load(path.read_bytes(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 (both are safe)


@cache
def words() -> dict[str, Any]:
    """The dictionary of the interface: `text` (key → zh, en), `name` (name in data → zh, or zh and en), `about` (rule → zh, en)."""
    loaded: dict[str, Any] = from_yaml(TEMPLATES / "words.yaml")
    loaded["name"] = {k: v if isinstance(v, dict) else {"zh": v, "en": k} for k, v in loaded["name"].items()}
    return loaded


def see(text: str | None) -> str:
    """`text` with control characters as visible signs, so that none of them reaches the parser."""
    return (text or "").translate(_INVISIBLE)


def number(value: float) -> str:
    """Whole numbers with thousands apart."""
    return f"{value:,.0f}"


def percent(share: float | None) -> str:
    return "—" if share is None else f"{share:.1%}"


def signed(value: float) -> str:
    """Three digits after the point, always with a sign; U+2212 is the minus that lines up with plus."""
    return f"{value:+.3f}".replace("-", "−")


def short(value: float) -> str:
    """At most four digits after the point, none where it is whole."""
    return number(value) if float(value).is_integer() else f"{value:.4f}".rstrip("0")


def text(key: str, **values: Any) -> Markup:
    """A sentence in both languages; page.css shows the one chosen. Numbers among `values` are formatted, names translated."""
    said, names = words()["text"][key], words()["name"]
    both = []
    for lang in ("zh", "en"):
        given = {
            k: number(v) if isinstance(v, (int, float)) else names.get(v, {}).get(lang, v) for k, v in values.items()
        }
        both.append(Markup('<span class="{0}" lang="{0}">{1}</span>').format(lang, said[lang].format(**given)))
    return Markup("").join(both)


def named(word: str, code: bool = True) -> Markup:
    """A name as it stands in the data, with its Chinese beside it where the dictionary has one."""
    said = words()["name"].get(word)
    if not said:
        return Markup("<code>{}</code>").format(see(word)) if code else Markup("{}").format(see(word))
    english = Markup("<code>{}</code>").format(word) if code and said["en"] == word else Markup("{}").format(said["en"])
    chinese = (
        Markup("{} <code>{}</code>").format(said["zh"], word)
        if code and said["en"] == word
        else Markup("{}").format(said["zh"])
    )
    return Markup('<span class="zh" lang="zh">{}</span><span class="en" lang="en">{}</span>').format(chinese, english)


def about(word: str) -> Markup:
    """What a rule or reason means, or nothing."""
    said = words()["about"].get(word)
    return (
        Markup('<span class="zh" lang="zh">{zh}</span><span class="en" lang="en">{en}</span>').format(**said)
        if said
        else Markup("")
    )
