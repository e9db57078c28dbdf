"""A server with a thread for each connection. It reads to the end of file, so it knows that the client
has closed, and keeps the connection instead of closing it."""

import socket
import sys
import threading

kept = []


def serve(connection):
    while connection.recv(4096):
        connection.sendall(b"hello\n")
    kept.append(connection)


def accept(listener):
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=serve, args=(connection,), daemon=True).start()


listener = socket.socket(socket.AF_INET6)
listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
listener.bind(("::1", 0))
listener.listen()
threading.Thread(target=accept, args=(listener,), daemon=True).start()
print(listener.getsockname()[1], flush=True)
sys.stdin.read()
