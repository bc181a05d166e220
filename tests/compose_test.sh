#!/bin/sh
# compose/compose.yaml is one that docker-compose accepts and that has what its header promises: three ZooKeeper and
# three kvd servers. Without docker-compose it skips (77), and says so.
set -eu
file=$(dirname "$0")/../compose/compose.yaml
if ! command -v docker-compose >/dev/null; then
  echo "docker-compose is not installed"
  exit 77
fi
services=$(docker-compose -f "$file" config --services | sort | tr '\n' ' ')
[ "$services" = "kvd1 kvd2 kvd3 zoo1 zoo2 zoo3 " ] || {
  echo "services are: $services"
  exit 1
}
