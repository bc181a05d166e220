#!/bin/sh
# Whether the scenarios can be trusted to have run: `scenarios_test.sh PROGRAM COUNT`. Without java they are skipped,
# which is not success, and Meson runs as many as there are.
set -u
PATH=/nonexistent "$1"
code=$?
if [ "$code" -ne 77 ]; then
  echo "without java in PATH the exit code is $code, not 77"
  exit 1
fi
"$1" -tc='there is no test of this name' && { echo "running no test counts as success"; exit 1; }
"$1" --count --no-colors | grep -q ": $2\$" || { echo "meson.build does not list every scenario"; exit 1; }
