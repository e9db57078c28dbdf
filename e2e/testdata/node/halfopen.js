// A server that allows half-open connections, and never ends its own half. With the argument
// "healthy" it does.

const net = require("net");

const server = net.createServer({ allowHalfOpen: true }, (connection) => {
  connection.on("data", () => connection.write("hello\n"));
  if (process.argv[2] === "healthy") {
    connection.on("end", () => connection.end());
  }
});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
process.stdin.on("end", () => process.exit(0));
process.stdin.resume();
