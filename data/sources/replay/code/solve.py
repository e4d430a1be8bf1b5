"""Solve linear equations exactly with fractions, reporting degenerate cases."""
from fractions import Fraction


def solve(matrix, rhs):
    rows = [[Fraction(x) for x in row] + [Fraction(b)]
            for row, b in zip(matrix, rhs, strict=True)]
    unknowns = len(matrix[0])
    pivots = []
    r = 0
    for c in range(unknowns):
        chosen = next((i for i in range(r, len(rows)) if rows[i][c]), None)
        if chosen is None:
            continue  # this unknown is free
        rows[r], rows[chosen] = rows[chosen], rows[r]
        lead = rows[r][c]
        rows[r] = [x / lead for x in rows[r]]
        for i, row in enumerate(rows):
            if i != r and row[c]:
                factor = row[c]
                rows[i] = [x - factor * p for x, p in zip(row, rows[r])]
        pivots.append(c)
        r += 1
    if any(row[-1] and not any(row[:-1]) for row in rows):
        return "inconsistent", None
    if len(pivots) < unknowns:
        free = [c for c in range(unknowns) if c not in pivots]
        return "free unknowns", free
    return "unique", [rows[i][-1] for i in range(unknowns)]


# Three alloys, known by their copper, tin and total mass.
status, answer = solve([[90, 60, 75], [10, 40, 5], [1, 1, 1]], [390, 85, 5])
print(status, [str(x) for x in answer])
print(*solve([[1, 2], [2, 4]], [3, 6]))
print(*solve([[1, 2], [2, 4]], [3, 7]))
