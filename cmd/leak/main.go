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

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "leak:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	app := kingpin.New("leak", "Forgets to close its TCP connections, on purpose. Server and client in one, on loopback only.")
	app.HelpFlag.Short('h')
	shop := app.Command("shop", "A server that is pleasant to watch: it leaks a socket each second, of all sorts.").Default()
	serve := app.Command("server", "A server that leaks exactly what the flags say, writes one line of JSON when all is there, and runs until SIGTERM or SIGINT.")
	flags := serverFlags(serve)
	command, err := app.Parse(args)
	if err != nil {
		return fmt.Errorf("%w (see leak --help)", err)
	}
	o := shopOptions()
	if command != shop.FullCommand() {
		if o, err = flags.parse(); err != nil {
			return err
		}
	}
	return work(o)
}
