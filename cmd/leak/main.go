// Command leak forgets to close its TCP connections, on purpose: for `make demo`, tests and benchmarks.
// It is server and client in one, on loopback only.
package main

import (
	"fmt"
	"os"
	"runtime"

	"github.com/alecthomas/kingpin/v2"
)

// The main goroutine stays on the main thread, which --zombie-leader ends.
func init() { runtime.LockOSThread() }

func main() { exit(run(os.Args[1:])) }

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "leak:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

func run(args []string) error {
	app := kingpin.New("leak", "Forgets to close its TCP connections, on purpose. Server and client in one, on loopback only.")
	app.HelpFlag.Short('h')
	app.Command("shop", "A server that is pleasant to watch: it leaks a socket each second, of all sorts.").Default()
	server := app.Command("server", "Leaks exactly what the flags say, writes one line of JSON when all is there, and runs until SIGTERM or SIGINT. "+
		"Commands on stdin, each answered by such a line: leak N, close N (the oldest), accept N, reset N (the oldest become defunct), bury N (close the oldest defunct), read, state.")
	flags := serverFlags(server)
	holder := app.Command("holder", "A child that keeps what it is given.").Hidden()
	comm := holder.Flag("comm", "Name of the process, as it is.").String()
	receive := holder.Flag("receive", "Take sockets from descriptor 3.").Bool()

	command, err := app.Parse(args)
	if err != nil {
		return fmt.Errorf("%w (see leak --help)", err)
	}
	o := shopOptions()
	switch command {
	case holder.FullCommand():
		return hold(*comm, *receive)
	case server.FullCommand():
		if o, err = flags.parse(); err != nil {
			return err
		}
	}
	return onOwnThread(o, work)
}
