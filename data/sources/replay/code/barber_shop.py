"""Discrete-event simulation of a barber's shop with a short bench."""
import heapq
import random


def run(minutes, seats, arrive_every, cut_time, seed=1):
    rng = random.Random(seed)
    events, serial = [], 0

    def schedule(when, kind):
        nonlocal serial
        serial += 1
        heapq.heappush(events, (when, serial, kind))

    bench = []          # arrival times of people waiting
    busy = False
    served = lost = 0
    waited = 0.0
    schedule(rng.expovariate(1 / arrive_every), "arrive")
    while events:
        now, _, kind = heapq.heappop(events)
        if kind == "arrive":
            if now > minutes:
                continue    # the door is shut, finish whoever is inside
            schedule(now + rng.expovariate(1 / arrive_every), "arrive")
            if len(bench) < seats:
                bench.append(now)
            else:
                lost += 1
        else:
            busy = False
            served += 1
        if bench and not busy:
            waited += now - bench.pop(0)
            busy = True
            schedule(now + rng.gauss(cut_time, 2), "done")
    return served, lost, waited / max(served, 1)


for seats in (1, 2, 4, 8):
    served, lost, wait = run(480, seats, arrive_every=14, cut_time=16)
    print(f"{seats} seats: {served} cut, {lost} walked off, {wait:.1f} min wait")
