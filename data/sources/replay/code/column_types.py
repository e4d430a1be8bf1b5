"""Summarise the columns of a CSV file: guess a type, count blanks, find range."""
import csv
import io
from datetime import date


def guess(cell):
    for convert in (int, float, date.fromisoformat):
        try:
            return convert(cell)
        except ValueError:
            pass
    return cell


def profile(handle):
    reader = csv.DictReader(handle)
    columns = {name: [] for name in reader.fieldnames}
    blanks = dict.fromkeys(columns, 0)
    for record in reader:
        for name, cell in record.items():
            if cell := (cell or "").strip():
                columns[name].append(guess(cell))
            else:
                blanks[name] += 1
    for name, values in columns.items():
        kinds = {type(v).__name__ for v in values}
        if kinds == {"int", "float"}:
            kinds = {"float"}
        # Mixed columns are reported as text and compared as text.
        kind = kinds.pop() if len(kinds) == 1 else "str"
        key = str if kind == "str" else None
        yield name, kind, blanks[name], (
            min(values, key=key, default="-"), max(values, key=key, default="-"))


SAMPLE = """plot,planted,height_cm,variety
1,2021-04-02,38,Bramley
2,2021-04-05,41.5,Russet
3,,36,Bramley
4,2021-03-29,,Codlin
"""

for name, kind, missing, (low, high) in profile(io.StringIO(SAMPLE)):
    print(f"{name:<10} {kind:<5} blank={missing} {low} .. {high}")
