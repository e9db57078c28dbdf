"""An asyncio server that keeps sending after the client has closed its half: a legitimate half-close.
The connection is in CLOSE_WAIT and is no leak. Each line that it sends is the time, in nanoseconds
since 1970."""

import asyncio
import os
import sys
import time


async def serve(reader, writer):
    await reader.read()
    while True:
        writer.write(b"%d\n" % time.time_ns())
        await writer.drain()
        await asyncio.sleep(0.05)


async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    os._exit(0)


asyncio.run(main())
