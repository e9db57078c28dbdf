"""A server with two threads. Each answers a request after it has asked the server itself for another
page. With two requests at the same time, both threads wait for a third one."""

import socket
import sys
import threading


def serve(listener, port):
    while True:
        connection, _ = listener.accept()
        with connection:
            if connection.recv(4096).startswith(b"hello"):
                with socket.create_connection(("127.0.0.1", port)) as inner:
                    inner.sendall(b"inner\n")
                    inner.recv(4096)
            connection.sendall(b"hello\n")


listener = socket.socket()
listener.bind(("127.0.0.1", 0))
listener.listen()
port = listener.getsockname()[1]
for _ in range(2):
    threading.Thread(target=serve, args=(listener, port), daemon=True).start()
print(port, flush=True)
sys.stdin.read()
