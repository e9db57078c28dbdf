// A program that leaks connections on both sides: fetch opens them and does not close them after
// their end, and serve does not close those that it accepts. It begins to leak when it reads a line
// from standard input, and writes how many connections it has leaked.
package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
)

const outbound, inbound = 12, 4

var kept []any // keeps connections from being closed by the garbage collector

func main() {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		for range outbound {
			client, server := connect(listener)
			server.Close()
			fetch(client)
		}
		for range inbound {
			client, server := connect(listener)
			client.Close()
			serve(server)
		}
		fmt.Println(outbound, inbound)
	}
	for _, connection := range kept {
		connection.(net.Conn).Close()
	}
}

func connect(listener net.Listener) (client, server net.Conn) {
	client = dial(listener.Addr().String())
	server, err := listener.Accept()
	if err != nil {
		panic(err)
	}
	return client, server
}

//go:noinline
func dial(address string) net.Conn {
	connection, err := net.Dial("tcp4", address)
	if err != nil {
		panic(err)
	}
	return connection
}

//go:noinline
func fetch(connection net.Conn) {
	_, _ = io.ReadAll(connection)
	kept = append(kept, connection)
}

//go:noinline
func serve(connection net.Conn) {
	_, _ = connection.Read(make([]byte, 100))
	kept = append(kept, connection)
}
