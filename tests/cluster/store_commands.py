"""The store's commands as processes, for the tests that run them against real servers: what they print, and their exit
codes."""
import os
import subprocess

from services_cluster import PATIENCE_S

DONE, MISSING, USAGE, REFUSED, UNAVAILABLE, IO_ERROR, UNKNOWN, CONFIG = 0, 1, 64, 65, 69, 74, 75, 78


class Commands:
    """The commands of one binary, told these servers."""

    def __init__(self, binary, *names):
        self.binary = binary
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith('KVD_')}
        self.environment['KVD_SERVERS'] = ','.join(names)

    def start(self, *arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE):
        return subprocess.Popen([self.binary, *arguments], env=self.environment, stdin=stdin, stdout=stdout,
                                stderr=subprocess.PIPE)

    def run(self, *arguments, given=None, stdout=subprocess.PIPE):
        """The exit code, standard output and standard error."""
        with self.start(*arguments, stdin=subprocess.DEVNULL if given is None else subprocess.PIPE,
                        stdout=stdout) as process:
            output, errors = process.communicate(given, timeout=PATIENCE_S)
        return process.returncode, output, errors

    def good(self, *arguments, given=None, trying=False):
        """What it prints, and nothing on standard error, unless it may have to try on."""
        code, output, errors = self.run(*arguments, given=given)
        assert code == DONE and (trying or errors == b''), (arguments, code, output, errors)
        return output

    def bad(self, expected, *arguments, given=None, says=b'', prints=b''):
        """It ends so, and standard error says why."""
        code, output, errors = self.run(*arguments, given=given)
        assert (code, output) == (expected, prints), (arguments, code, output, errors)
        assert errors.startswith(b'kvd: ') and errors.endswith(b'\n') and says in errors, (arguments, errors)
        return errors
