"""`python -m openmid` is the `openmid` command."""

from openmid.cli import main

main()
