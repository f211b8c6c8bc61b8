#!/bin/sh
# start | stop | restart | status [--json] | console
# Exit status: 0 done (status: running), 1 failed, 2 usage, 3 status: not running.
bin=$(dirname -- "$(readlink -f -- "$0")")
agent=$(dirname -- "$bin")
case "${1-}" in
  start | stop | restart) command=$1 ;;
  status) command=status ;;
  console) command=run ;;
  *)
    echo "usage: mid.sh start|stop|restart|status [--json]|console" >&2
    exit 2
    ;;
esac
shift
exec "$bin/openmid" mid "$command" --dir "$agent" "$@"
