"""`python -m tests.chaos.instance LEASE_SECONDS instance run DIR`: `openmid`, with shorter leases than the product's."""

from __future__ import annotations

import sys


def main() -> None:
    from openmid.instance.ecc import queue

    queue.LEASE_US = round(float(sys.argv.pop(1)) * 1_000_000)
    from openmid.cli import main as openmid

    openmid()


if __name__ == "__main__":
    main()
