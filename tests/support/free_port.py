"""Ports for servers that a test starts on loopback. Another program may take one between the check and its use: a test
that needs certainty starts again."""
import random
import socket

_given = set()


def free_port():
    """Below 22768, so that the port of kvd's peer channel, 10000 above, is free too and none that the kernel gives to
    outgoing connections; and none that this program was given before."""
    while True:
        port = random.randrange(11000, 22000)
        if port in _given:
            continue
        try:
            with socket.socket() as one, socket.socket() as two:
                one.bind(('127.0.0.1', port))
                two.bind(('127.0.0.1', port + 10000))
                _given.add(port)
                return port
        except OSError:
            continue
