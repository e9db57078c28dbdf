"""A server that passes each connection to a worker process, and forgets to close its own descriptor.
The worker does not close either. Both end with their stdin."""

import os
import socket
import sys
import threading

kept = []


def accept(listener, channel):
    while True:
        connection, _ = listener.accept()
        socket.send_fds(channel, [b"x"], [connection.fileno()])
        kept.append(connection)


def work(channel):
    while True:
        _, descriptors, _, _ = socket.recv_fds(channel, 1, 1)
        connection = socket.socket(fileno=descriptors[0])
        while data := connection.recv(4096):
            connection.sendall(data)
        kept.append(connection)


master, worker = socket.socketpair()
if os.fork() == 0:
    master.close()
    threading.Thread(target=work, args=(worker,), daemon=True).start()
    sys.stdin.read()
    os._exit(0)
worker.close()
listener = socket.socket()
listener.bind(("127.0.0.1", 0))
listener.listen()
threading.Thread(target=accept, args=(listener, master), daemon=True).start()
print(listener.getsockname()[1], flush=True)
sys.stdin.read()
os._exit(0)
