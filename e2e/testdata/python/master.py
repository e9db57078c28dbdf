"""A server whose worker process should accept, and does not. Both hold the listener, and end with
their stdin."""

import os
import socket
import sys

listener = socket.socket()
listener.bind(("127.0.0.1", 0))
listener.listen()
worker = os.fork()
if worker:
    print(listener.getsockname()[1], flush=True)
sys.stdin.read()
if worker:
    os.waitpid(worker, 0)
