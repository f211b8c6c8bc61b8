"""Faults over real processes: `python -m tests.chaos --kills 1000` or `--minutes 10` (also `make chaos KILLS=…`).

client    accepted executions, each with an id of its own          partner   counts every id before it answers
world     instance, MID Server, partner; proxies between them      faults    kill -9, frozen, cut, slow, full, off
verdict   one outcome each, unsafe calls at most once, no leaks
"""
