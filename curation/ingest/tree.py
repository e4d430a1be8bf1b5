"""Message trees (Open-Assistant): `{"message_tree_id": …, "prompt": {"text": …, "role": "prompter", "replies": […]}}`.

The best path becomes the row: from the root, at every level the reply with the lowest `rank`; without ranks the one with the
better balance of thumbs, then the one with the deeper conversation below it, then the lower message_id. Deleted
messages and those that failed review are passed by. The path ends with an assistant's turn. The whole tree stays in meta.
"""

from __future__ import annotations

import math
from typing import Any

from curation.ingest.layout import BadRecord, Turn, text_of
from curation.ingest.turns import ROLES

NEEDS = frozenset({"prompt", "message_id"})


def matches(value: dict[str, Any]) -> bool:
    root = value.get("prompt")
    return (isinstance(root, dict) and "replies" in root) or ("message_id" in value and "role" in value)


def convert(value: dict[str, Any], raw: bytes) -> dict[str, Any]:
    """`messages` along the best path; raises BadRecord."""
    root = value.get("prompt")
    if not isinstance(root, dict):
        if value.get("parent_id") is not None or "replies" not in value:
            raise BadRecord("loose_message", "one message of a tree; whole trees, with `replies`, are accepted")
        root = value
    turns, node, number = [], root, 1
    while True:
        said = str(node.get("role"))
        role = ROLES.get(said.lower())
        if role not in ("user", "assistant", "system"):
            raise BadRecord("unknown_role", f"message {number} has the role {said!r}; accepted: prompter, assistant")
        turns.append(Turn(role, text_of(node.get("text"), f"message {number}")))
        replies = [r for r in _replies(node) if _usable(r)]
        if not replies:
            break
        node, number = min(replies, key=_rank), number + 1
    while turns and turns[-1].role != "assistant":
        turns.pop()
    if not turns:
        raise BadRecord("missing_answer", "no reply of an assistant in the tree")
    return {"messages": turns, "used": frozenset()}


def _replies(node: dict[str, Any]) -> list[Any]:
    replies = node.get("replies") or []
    if not isinstance(replies, list):
        raise BadRecord("broken_tree", f"`replies` is {type(replies).__name__}; a list is accepted")
    return replies


def _usable(node: Any) -> bool:
    return (
        isinstance(node, dict)
        and isinstance(node.get("text"), str)
        and not node.get("deleted")
        and node.get("review_result") is not False
    )


def _rank(node: dict[str, Any]) -> tuple[float, float, int, str]:
    rank, emojis = node.get("rank"), node.get("emojis")
    place = float(rank) if isinstance(rank, int | float) and not isinstance(rank, bool) else math.inf
    thumbs = [emojis.get(k, 0) if isinstance(emojis, dict) else 0 for k in ("+1", "-1")]
    balance = thumbs[0] - thumbs[1] if all(isinstance(t, int | float) for t in thumbs) else 0
    return (place, -balance, -_depth(node), str(node.get("message_id", "")))


def _depth(node: dict[str, Any]) -> int:
    """Length of the longest usable path below, in messages."""
    return 1 + max((_depth(r) for r in _replies(node) if _usable(r)), default=0)
