package reapertest

import (
	"fmt"
	"net"
	"os"
)

// feederRole is a server that sends without an end, for clients that read slowly.
const feederRole = "feeder"

// feed serves on the address of the first argument, says where, and ends with stdin.
func feed() error {
	listener, err := net.Listen("tcp", os.Args[1])
	if err != nil {
		return err
	}
	fmt.Println(listener.Addr())
	go func() {
		_, _ = os.Stdin.Read(make([]byte, 1))
		os.Exit(0)
	}()
	for {
		client, err := listener.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer client.Close()
			for err := error(nil); err == nil; {
				_, err = client.Write(make([]byte, 64<<10))
			}
		}()
	}
}
