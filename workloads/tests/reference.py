#!/usr/bin/env python3
"""The answers of `fetch` and `ingest` by the formulas of WORKLOADS.md, in another language.

Prints the values that the tests in src/servers/pages.rs, src/io/fetch.rs and src/io/ingest.rs
expect. Needs Python 3 and nothing else.
"""

import hashlib
import json

MASK = (1 << 64) - 1
GOLDEN = 0x9E3779B97F4A7C15


def mix(z):
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


def bits(seed, stream, i):
    base = mix(mix((seed + GOLDEN) & MASK) ^ stream)
    return mix((base + (i + 1) * GOLDEN) & MASK)


def below(seed, stream, i, n):
    return (bits(seed, stream, i) * n) >> 64


def delay_ns(seed, mean_ns, i):
    return mean_ns // 2 + below(seed, 1, i, mean_ns)


def body(seed, length, i):
    words = -(-length // 8)
    drawn = (bits(seed, 2, i * words + j).to_bytes(8, "little") for j in range(words))
    return b"".join(drawn)[:length]


def answer(count_name, seed, tasks, length):
    bodies = [body(seed, length, i) for i in range(tasks)]
    digests = "".join(hashlib.sha256(b).hexdigest() + "\n" for b in bodies)
    return {
        count_name: tasks,
        "bytes": sum(map(len, bodies)),
        "digest": hashlib.sha256(digests.encode()).hexdigest(),
    }


def main():
    delays = [delay_ns(7, 5_000_000, i) for i in range(64)]
    print("delays", delays[:3])
    print("longest", max(delays))
    print("makespan", max(max(delays), -(-sum(delays) // 2)))
    print("body", list(body(7, 10, 3)))
    print("fetch", json.dumps(answer("responses", 7, 20, 1001), separators=(",", ":")))
    print("ingest", json.dumps(answer("sources", 7, 20, 3001), separators=(",", ":")))


if __name__ == "__main__":
    main()
