"""A server that accepts connections and reads nothing, until it gets a line on stdin: then it reads
each to its end, and writes the number of bytes."""

import os
import socket
import sys
import threading

connections = []


def accept(listener):
    while True:
        connections.append(listener.accept()[0])


def length(connection):
    total = 0
    while data := connection.recv(65536):
        total += len(data)
    return total


listener = socket.socket()
listener.bind(("127.0.0.1", 0))
listener.listen()
threading.Thread(target=accept, args=(listener,), daemon=True).start()
print(listener.getsockname()[1], flush=True)
for _ in sys.stdin:
    print(sum(length(connection) for connection in connections), flush=True)
os._exit(0)
