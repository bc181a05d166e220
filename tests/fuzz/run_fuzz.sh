#!/bin/sh
# Runs one libFuzzer program as a test: its corpus first, then new inputs from a fixed seed. What it finds interesting
# goes to a directory of its own that is removed afterwards, never into the source tree.
# Usage: run_fuzz.sh PROGRAM CORPUS_DIRECTORY [RUNS]
set -eu
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
"$1" -seed=1 -runs="${3:-100000}" -max_len=2048 -artifact_prefix="$PWD/" -print_final_stats=1 "$scratch" "$2"
