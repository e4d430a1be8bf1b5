import multiprocessing
from pathlib import Path

from curation.cache import Cache
from curation.score.batches import by_length, cached


def test_the_first_writer_wins_and_entries_survive(cache_folder: Path):
    Cache("t").put({"a": b"1", "b": b"2"})
    Cache("t").put({"a": b"changed"})
    assert Cache("t").get(["a", "b", "c"]) == {"a": b"1", "b": b"2"}


def _write(number: int) -> None:
    cache = Cache("two")
    for i in range(200):
        cache.put({f"{i}": str(i).encode(), f"{number}-{i}": b"x"})


def test_two_writers_at_once_lose_nothing(cache_folder: Path):
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_write, args=(n,)) for n in (1, 2)]
    [w.start() for w in writers]
    [w.join() for w in writers]
    assert [w.exitcode for w in writers] == [0, 0]
    assert len(Cache("two").get([f"{i}" for i in range(200)] + [f"{n}-{i}" for n in (1, 2) for i in range(200)])) == 600


def test_batches_hold_the_token_budget_and_every_row_once():
    lengths = [5, 100, 7, 30, 31, 3]
    batches = by_length(lengths, 60)
    assert sorted(i for b in batches for i in b) == list(range(6))
    assert batches == [[5, 0, 2], [3], [4], [1]]


def test_a_batch_with_one_missing_row_is_computed_whole(cache_folder: Path):
    asked = []

    def compute(batch):
        asked.append(list(batch))
        return [b"v%d" % i for i in batch]

    Cache("n").put({"k0": b"v0"})
    assert cached("n", ["k0", "k1", "k2"], [[0, 1], [2]], compute) == {"k0": b"v0", "k1": b"v1", "k2": b"v2"}
    assert asked == [[0, 1], [2]]
    cached("n", ["k0", "k1", "k2"], [[0, 1], [2]], compute)
    assert len(asked) == 2
