"""An http.server with a thread for each connection, whose handler hangs. On stdin it takes the commands
count and close; see startServer. The argument keepalive turns SO_KEEPALIVE on."""

import http.server
import socket
import sys
import threading
import time

released = threading.Event()
connections = []


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if "keepalive" in sys.argv:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self.wfile.write(b"hello\n")
        connections.append(self.connection)
        released.wait()

    def log_message(self, *arguments):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
print(server.server_address[1], flush=True)
for command in sys.stdin:
    closed = len(connections)
    if command == "close\n":
        start = time.time_ns()
        released.set()
        while any(connection.fileno() >= 0 for connection in connections):
            time.sleep(0.001)
        print(closed, start, time.time_ns(), flush=True)
        connections.clear()
    else:
        print(closed, flush=True)
