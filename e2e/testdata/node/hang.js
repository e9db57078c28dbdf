// A server that answers each connection once and never closes it. On stdin it takes the commands
// count and close; see startServer. The argument keepalive turns SO_KEEPALIVE on.
//
// Node closes a connection by itself when the program has read its end. This program does not read
// the request, as one does not that waits for something else first: Node has read the end, and
// waits until the program takes the data before it.

'use strict';

const net = require('net');
const readline = require('readline');

const keepAlive = process.argv[2] === 'keepalive';
let kept = [];

const now = () => BigInt(Date.now()) * 1000000n;

const server = net.createServer((connection) => {
  if (keepAlive) connection.setKeepAlive(true);
  connection.write('hello\n');
  kept.push(connection);
});

function close() {
  const from = now();
  const closed = kept.map((connection) => new Promise((resolve) => connection.once('close', resolve)));
  for (const connection of kept) connection.destroy();
  Promise.all(closed).then(() => {
    console.log(`${closed.length} ${from} ${now() + 1000000n}`);
    kept = [];
  });
}

server.listen(0, '127.0.0.1', () => {
  console.log(server.address().port);
  const commands = readline.createInterface({ input: process.stdin });
  commands.on('line', (command) => (command === 'close' ? close() : console.log(kept.length)));
  commands.on('close', () => process.exit(0));
});
