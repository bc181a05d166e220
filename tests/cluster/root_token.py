"""Of clusters with rights: a token of root's that a test knows, and the fields of requests that show it, or another
one."""
import contextlib
import hashlib
import tempfile

SECRET = 'R' * 43


def bearer(token):
    return {'Authorization': f'Bearer {token}'}


ROOT = bearer(f'kvd_root2345_{SECRET}')


@contextlib.contextmanager
def known_root():
    """The path of a file for --root-token-file."""
    with tempfile.NamedTemporaryFile('w') as file:
        file.write(f'root2345 {hashlib.sha256(SECRET.encode()).hexdigest()}\n')
        file.flush()
        yield file.name
