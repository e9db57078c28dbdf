"""A server whose three threads ask a backend, whose port is the argument, before they answer."""

import socket
import sys
import threading


def serve(listener, backend):
    while True:
        connection, _ = listener.accept()
        with connection, socket.create_connection(("127.0.0.1", backend)) as inner:
            inner.sendall(connection.recv(5))
            inner.recv(4096)
            connection.sendall(b"hello\n")


listener = socket.socket()
listener.bind(("127.0.0.1", 0))
listener.listen()
for _ in range(3):
    threading.Thread(target=serve, args=(listener, int(sys.argv[1])), daemon=True).start()
print(listener.getsockname()[1], flush=True)
sys.stdin.read()
