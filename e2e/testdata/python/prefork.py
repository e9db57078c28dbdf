"""A server that forks for each connection. The parent forgets to close its copy, so each child also has
the connections of the earlier children. The children hang."""

import ctypes
import os
import select
import signal
import socket
import sys

PR_SET_PDEATHSIG = 1


def serve(connection):
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    connection.recv(4096)
    connection.sendall(b"hello\n")
    while True:
        signal.pause()


listener = socket.socket()
listener.bind(("127.0.0.1", 0))
listener.listen()
print(listener.getsockname()[1], flush=True)
connections, children = [], []
while sys.stdin not in select.select([listener, sys.stdin], [], [])[0]:
    connection, _ = listener.accept()
    connections.append(connection)
    child = os.fork()
    if child == 0:
        serve(connection)
    children.append(child)
for child in children:
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
