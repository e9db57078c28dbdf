"""A server that accepts three connections, and then becomes the program that is the argument, which
gets them."""

import os
import socket
import sys

listener = socket.socket()
listener.bind(("127.0.0.1", 0))
listener.listen()
print(listener.getsockname()[1], flush=True)
for _ in range(3):
    connection, _ = listener.accept()
    os.set_inheritable(connection.detach(), True)
os.execv(sys.argv[1], sys.argv[1:])
