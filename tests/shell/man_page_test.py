#!/usr/bin/env python3
"""What tools/man_page.py makes of a page of the manual before lowdown renders it: the section NAME, headings, links,
tables, and code as it stands. Usage: man_page_test.py"""
import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..', 'tools'))
from man_page import page_markdown  # pylint: disable=wrong-import-position

PAGE = '''# Locks

One client
holds [a lock](tasks.md). More.

## Two

See [what a
session is](sessions.md#it), [above](#two), [elsewhere](https://example.org/).

| word | meaning |
| --- | --- |
| `on\\|off` | a [task](long-tasks.md) |

| a | b | c |
| --- | --- | --- |
| 1 | 2 | 3 |

    ## [code](tasks.md)

```
## | fenced |
```
'''
MADE = '''# NAME

kvd-locks - One client holds a lock (**kvd-tasks**(7))

# DESCRIPTION

One client
holds a lock (**kvd-tasks**(7)). More.

# Two

See what a
session is (**kvd-sessions**(7)), above, [elsewhere](https://example.org/).

- `on|off`: a task (**kvd-long-tasks**(7))

- 1

    b: 2

    c: 3

    ## [code](tasks.md)

```
## | fenced |
```

# SEE ALSO

**kvd**(1)
'''


class ManPage(unittest.TestCase):
    def test_a_page(self):
        self.maxDiff = None
        self.assertEqual(page_markdown('locks', PAGE), MADE)

    def test_a_page_without_a_title_or_a_summary_is_refused(self):
        for text in ('Words.\n', '# Locks\n'):
            with self.assertRaises(SystemExit):
                page_markdown('locks', text)


if __name__ == '__main__':
    unittest.main()
