#!/usr/bin/env python3
"""Reads the log that `meson test` leaves (one JSON object a line) and prints all that failed tests wrote, then one line:
passed, failed, skipped. A log that does not exist counts as nothing at all. Used by tools/check."""
import json
import sys

passed = failed = skipped = 0
try:
    with open(sys.argv[1], encoding='utf-8') as log:
        lines = log.readlines()
except FileNotFoundError:
    lines = []
for line in lines:
    test = json.loads(line)
    result = test['result']
    if result in ('OK', 'EXPECTEDFAIL'):
        passed += 1
    elif result == 'SKIP':
        skipped += 1
        print(f'skipped: {test["name"]}: {(test.get("stdout") or "").strip()[-200:]}')
    else:
        failed += 1
        print(f'\n---- {result}: {test["name"]}: {" ".join(test["command"])}')
        print(test.get('stdout') or '')
        print(test.get('stderr') or '')
print(passed, failed, skipped)
