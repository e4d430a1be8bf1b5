"""Find the next moments that match a five-field cron expression."""
from datetime import datetime, timedelta

FIELDS = [("minute", 0, 59), ("hour", 0, 23), ("day", 1, 31),
          ("month", 1, 12), ("weekday", 0, 6)]  # Sunday is 0


def parse_field(spec, low, high):
    allowed = set()
    for part in spec.split(","):
        body, _, step = part.partition("/")
        if body == "*":
            first, last = low, high
        elif "-" in body:
            first, last = map(int, body.split("-"))
        else:
            first = int(body)
            last = high if step else first
        if not low <= first <= last <= high:
            raise ValueError(f"{part!r} is outside {low}-{high}")
        allowed.update(range(first, last + 1, int(step or 1)))
    return allowed


def upcoming(expression, after, limit=3):
    specs = expression.split()
    minute, hour, day, month, weekday = (
        parse_field(s, lo, hi) for s, (_, lo, hi) in zip(specs, FIELDS, strict=True))
    either = specs[2] != "*" and specs[4] != "*"
    moment = after.replace(second=0, microsecond=0) + timedelta(minutes=1)
    while limit:
        in_day, in_week = moment.day in day, moment.isoweekday() % 7 in weekday
        date_ok = (in_day or in_week) if either else (in_day and in_week)
        if moment.month not in month or not date_ok:
            moment = moment.replace(hour=0, minute=0) + timedelta(days=1)
            continue
        if moment.hour in hour and moment.minute in minute:
            yield moment
            limit -= 1
        moment += timedelta(minutes=1)


for when in upcoming("*/20 6-7 * * 1-5", datetime(2024, 3, 1, 7, 30)):
    print(when.strftime("%a %d %b %H:%M"))
