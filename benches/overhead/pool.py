"""multiprocessing.Pool(workers).map over no-ops, one at a time; a line of input, a sample."""

import sys
from multiprocessing import Pool
from time import perf_counter


def noop(task):
    pass


def sample(pool, tasks):
    began = perf_counter()
    pool.map(noop, range(tasks), chunksize=1)
    return perf_counter() - began


if __name__ == "__main__":
    workers, tasks = map(int, sys.argv[1:])
    with Pool(workers) as pool:
        for _ in sys.stdin:
            print(sample(pool, tasks), flush=True)
