"""Makes a listener, which gets the descriptor 3, and becomes the program that is the argument."""

import os
import socket
import sys

listener = socket.socket()
listener.bind(("127.0.0.1", 0))
listener.listen()
print(listener.getsockname()[1], flush=True)
os.dup2(listener.detach(), 3)
os.set_inheritable(3, True)
os.execv(sys.argv[1], sys.argv[1:])
