#!/bin/sh
# compose/compose.yaml is one that docker-compose accepts and that has what its header promises: three ZooKeeper and
# three kvd servers; with hosts.yaml also three hosts, with tls.yaml what makes certificates. Without docker-compose
# it skips (77), and says so.
set -eu
compose=$(dirname "$0")/../compose
if ! command -v docker-compose >/dev/null; then
  echo "docker-compose is not installed"
  exit 77
fi
check() {
  expected=$1
  shift
  services=$(docker-compose "$@" config --services | sort | tr '\n' ' ')
  [ "$services" = "$expected" ] || {
    echo "services are: $services"
    exit 1
  }
}
check "kvd1 kvd2 kvd3 zoo1 zoo2 zoo3 " -f "$compose/compose.yaml"
check "alpha beta gamma kvd1 kvd2 kvd3 zoo1 zoo2 zoo3 " -f "$compose/compose.yaml" -f "$compose/hosts.yaml"
check "certs kvd1 kvd2 kvd3 zoo1 zoo2 zoo3 " -f "$compose/compose.yaml" -f "$compose/tls.yaml"
# What is published can be reached from this machine alone: there is nothing that asks who comes.
published=$(docker-compose -f "$compose/compose.yaml" -f "$compose/hosts.yaml" config |
  awk '/^ *ports:/ { ports = 1; next } !/^ *- / { ports = 0 } ports')
if [ -z "$published" ] || echo "$published" | grep -v -- '- 127\.0\.0\.1:'; then
  echo "ports are published beyond loopback, or none are"
  exit 1
fi
