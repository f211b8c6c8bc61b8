"""Faults over real processes: `python -m tests.chaos --kills 1000` or `--minutes 10` (also `make chaos KILLS=…`).

A run is rounds: one fault, some strokes of it under calls, then the world is whole again and judged.

client    accepted executions, each with an id of its own          partner   counts every id before it answers
world     instance, MID Server, partner; proxies between them      faults    kill -9, frozen, cut, slow, full, off
network   the MID Server in a network namespace of its own         disks     small disks that can be filled
backlog   a queue of many jobs                                     measure   files, sockets and memory of a process
verdict   one outcome each, unsafe calls at most once, no leaks    database  what the instance has recorded
"""
