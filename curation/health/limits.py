"""Where each measure sounds an alarm, and why there. docs/health.md has what known sets measure beside each limit."""

from __future__ import annotations

MIN_ROWS = 20  # fewer rows of a task type are shown and not judged: one row would be a twentieth and more

# Answers of these types are meant to be short, from a closed set, or to follow the prompt's own words.
CLOSED = ("classification", "extraction", "closed_qa", "math", "translation", "tool_use")

LIMITS: dict[str, float] = {
    # share of a type's prompts or answers in one of five length buckets: a model then sees one length
    "length_bucket": 0.9,
    # share of a type's requests with one opening; broad sets stay under 0.1, one template per set reaches 1
    "opening": 0.2,
    # share of a type's long prompts whose answer draws on one third of the text; by chance about a third each
    "key_information": 0.8,
    # share of a type's answers that are the same text as another's; clean's rule on equal answers leaves far fewer
    "same_answer": 0.1,
    # share of a type's answers that begin with the same six units
    "same_start": 0.15,
    # an answer's runs of four units that another answer of the type has too, on average; broad sets under 0.004
    "shared_runs": 0.02,
    # distinct pairs of units among 2,000 of a type's answers, in one script; broad sets 0.64 to 0.92
    "distinct_2": 0.5,
    # mean cosine distance between two prompts of a type; the starter sources have 0.83 to 0.92
    "spread": 0.6,
    # share of a type's conversations that change their topic: half of them, and the type is not what they are about
    "topic_switches": 0.5,
    # share of rows with a system prompt whose answer shows it; the measure misses a third, so the limit is low
    "system_dependence": 0.3,
}
