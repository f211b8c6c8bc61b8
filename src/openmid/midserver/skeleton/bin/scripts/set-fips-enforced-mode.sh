#!/bin/sh
# on | off | status [--json]. Stop the MID Server first.
# Exit status: 0 done (status: enforced), 1 failed and put back (status: not enforced), 2 usage, 3 broken.
scripts=$(dirname -- "$(readlink -f -- "$0")")
exec "$scripts/../openmid" mid fips --dir "$scripts/../.." "$@"
