"""A client of the port that is the second argument, which does with twelve connections what the first
says:
pool      reads an answer on each, and keeps them for further requests
shutdown  ends its side of each, and waits for the other
refused   keeps a socket for each, though none could connect
"""

import http.client
import socket
import sys

how, port = sys.argv[1], int(sys.argv[2])
kept = []
for _ in range(12):
    if how == "pool":
        connection = http.client.HTTPConnection("127.0.0.1", port)
        connection.request("GET", "/")
        connection.getresponse().read()
    else:
        connection = socket.socket()
        if connection.connect_ex(("127.0.0.1", port)) == 0:
            connection.shutdown(socket.SHUT_WR)
    kept.append(connection)
print(port, flush=True)
sys.stdin.read()
