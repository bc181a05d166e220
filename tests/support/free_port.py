"""Ports for servers that a test starts on loopback. A program that is no test may take one between the check and its
use: a test that needs certainty starts again."""
import random
import socket

_reserved = []


def _reserve(port):
    """By a name that no other process can bind while this one lives, as tools/rig/free_port.cpp does."""
    name = socket.socket(socket.AF_UNIX)
    try:
        name.bind(f'\0kvd-test-port-{port}'.ljust(108, '\0'))
    except OSError:
        name.close()
        return False
    _reserved.append(name)
    return True


def free_port():
    """Below 22768, so that the port of kvd's peer channel, 10000 above, is free too and none that the kernel gives to
    outgoing connections; and none that a test was given that still runs."""
    while True:
        port = random.randrange(11000, 22000)
        try:
            with socket.socket() as one, socket.socket() as two:
                one.bind(('127.0.0.1', port))
                two.bind(('127.0.0.1', port + 10000))
        except OSError:
            continue
        if _reserve(port) and _reserve(port + 10000):
            return port
