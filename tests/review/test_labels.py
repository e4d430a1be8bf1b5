"""labels.jsonl: what people say of rows, and the sentence for each way in which a line can be wrong."""

from __future__ import annotations

import json

import pytest

from curation.errors import ConfigError
from curation.review import labels

TYPES = {"math": ("arithmetic", "algebra"), "writing": ("email",)}
BUCKETS = ("general", "domain")


def read(tmp_path, *entries: object):
    path = tmp_path / "labels.jsonl"
    path.write_text("\n".join(json.dumps(e, ensure_ascii=False) for e in entries), encoding="utf-8")
    return labels.read(path, TYPES, BUCKETS)


def test_later_lines_overrule_what_they_speak_of(tmp_path):
    said = read(
        tmp_path,
        {"id": "题-1", "task_type": "math", "task_subtype": "algebra", "by": "wei", "note": "方程"},
        {"id": "题-1", "bucket": "domain"},
        {"id": "b", "task_type": "math", "task_subtype": "algebra"},
        {"id": "b", "task_type": "writing", "by": "jo"},
    )
    assert said == {
        "题-1": {"by": "wei", "task_type": "math", "task_subtype": "algebra", "bucket": "domain"},
        "b": {"by": "jo", "task_type": "writing"},
    }
    assert labels.read(tmp_path / "none.jsonl", TYPES, BUCKETS) == {}


@pytest.mark.parametrize(
    ("entry", "fault"),
    [
        ({"id": "a", "task_type": "poetry"}, "task_type is 'poetry'; accepted: math, writing."),
        (
            {"id": "a", "task_type": "math", "task_subtype": "sums"},
            "task_subtype is 'sums'; accepted: arithmetic, algebra.",
        ),
        ({"id": "a", "bucket": "math"}, "bucket is 'math'; accepted: general, domain."),
        (
            {"id": "a", "taks_type": "math"},
            "unknown key 'taks_type'; accepted: id, task_type, task_subtype, bucket, by, note; did you mean 'task_type'?",
        ),
        ({"id": "a"}, 'neither task_type nor bucket; accepted: {"id": …, "task_type": …, "by": …}.'),
        (
            {"id": "a", "task_subtype": "email"},
            'task_subtype without task_type; accepted: {"id": …, "task_type": …, "by": …}.',
        ),
        (
            {"id": "a", "task_subtype": "email", "bucket": "domain"},
            "task_subtype without task_type; say both.",
        ),
        ({"id": "a", "task_type": ["math"]}, 'task_type: found ["math"]; accepted: text.'),
        ({"id": "a", "task_type": "math", "by": None}, "by: found null; accepted: text."),
        ({"task_type": "math"}, "id: missing; accepted: a record's id."),
    ],
)
def test_a_wrong_line_is_named(tmp_path, entry, fault):
    with pytest.raises(ConfigError) as error:
        read(tmp_path, {"id": "ok", "bucket": "general"}, entry)
    assert str(error.value) == f"{tmp_path / 'labels.jsonl'}:2: {fault}"
