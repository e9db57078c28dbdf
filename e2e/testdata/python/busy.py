"""A server that needs a second of processor time for each request, and serves one after the other."""

import os
import socket
import sys
import threading
import time


def serve(listener):
    while True:
        connection, _ = listener.accept()
        with connection:
            connection.recv(4096)
            start = time.process_time()
            while time.process_time() - start < 1:
                pass
            try:
                connection.sendall(b"hello\n")
            except OSError:
                pass  # the client has gone


listener = socket.socket()
listener.bind(("127.0.0.1", 0))
listener.listen()
threading.Thread(target=serve, args=(listener,), daemon=True).start()
print(listener.getsockname()[1], flush=True)
sys.stdin.read()
os._exit(0)
