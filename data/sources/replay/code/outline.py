"""Number the headings of a plain-text outline and print a table of contents."""
import re

HEADING = re.compile(r"^(=+)\s+(.*?)\s*$")


def number_headings(lines):
    """Yield (label, depth, title, line_number) for each heading found."""
    counters = []
    for line_number, line in enumerate(lines, start=1):
        match = HEADING.match(line)
        if not match:
            continue
        depth = len(match[1])
        if depth > len(counters) + 1:
            raise SyntaxError(
                f"line {line_number}: level jumps from {len(counters)} to {depth}")
        # Going up the tree forgets the deeper counters.
        del counters[depth:]
        if depth > len(counters):
            counters.append(0)
        counters[-1] += 1
        yield ".".join(map(str, counters)), depth, match[2], line_number


def contents(text, width=46):
    for label, depth, title, line_number in number_headings(text.splitlines()):
        entry = f"{'  ' * (depth - 1)}{label} {title} "
        yield f"{entry:.<{width}} {line_number:>3}"


MANUAL = """= Setting up the loom
Unpack the beams.
== Warping
=== Measuring the warp
=== Crossing the threads
== Tying on
= Weaving
== Plain weave
== Twill
"""

print("\n".join(contents(MANUAL)))
