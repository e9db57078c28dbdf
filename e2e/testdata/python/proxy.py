"""A proxy to the port that is the argument. It passes the end of each direction on, and closes a
pair of connections after both directions have ended."""

import socket
import sys
import threading


def copy(source, destination):
    while data := source.recv(4096):
        destination.sendall(data)
    destination.shutdown(socket.SHUT_WR)


def serve(connection, port):
    backend = socket.create_connection(("127.0.0.1", port))
    upwards = threading.Thread(target=copy, args=(connection, backend), daemon=True)
    upwards.start()
    copy(backend, connection)
    upwards.join()
    backend.close()
    connection.close()


def accept(listener, port):
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=serve, args=(connection, port), daemon=True).start()


listener = socket.socket()
listener.bind(("127.0.0.1", 0))
listener.listen()
threading.Thread(target=accept, args=(listener, int(sys.argv[1])), daemon=True).start()
print(listener.getsockname()[1], flush=True)
sys.stdin.read()
