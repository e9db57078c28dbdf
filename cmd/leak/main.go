// Command leak forgets to close its TCP connections, on purpose: for `make demo`, tests and
// benchmarks. It is server and client in one, on loopback only.
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
	app.Command("shop", "Run a server that leaks a socket of some kind each second, for a demonstration.").Default()
	server := app.Command("server", "Leak what the flags ask for, write one line of JSON when all of it exists, and run until SIGTERM or SIGINT. "+
		"Reads commands from stdin and answers each line with such a line of JSON: leak N, close N (the oldest), accept N, "+
		"reset N (the oldest become closed), discard N (close the oldest closed ones), read, unlisten, exec PATH, state. Several commands may share a line, separated by semicolons.")
	flags := serverFlags(server)
	holder := app.Command("holder", "Keep the descriptors that the parent passes.").Hidden()
	comm := holder.Flag("comm", "Name of the process, as raw bytes.").String()
	receive := holder.Flag("receive", "Receive sockets from descriptor 3.").Bool()
	client := app.Command("http-client", "Request a page several times and close no answer, with net/http. Ends with stdin.").Hidden()
	url := client.Arg("url", "Page to request.").Required().String()
	requests := client.Arg("requests", "Number of requests.").Required().Int()

	hanging := app.Command("http-server", "Serve with net/http and handlers that hang. Reads the commands count and close, and ends with stdin.").Hidden()
	keepalive := hanging.Flag("keepalive", "Let the listener set keepalive, as it does by default.").Default("true").Bool()
	itself := app.Command("self-call", "Serve /outer, which requests /inner from the server itself. Ends with stdin.").Hidden()
	places := itself.Arg("places", "Number of requests that are worked on at the same time.").Required().Int()

	command, err := app.Parse(args)
	if err != nil {
		return fmt.Errorf("%w (see leak --help)", err)
	}
	o := shopOptions()
	switch command {
	case holder.FullCommand():
		return hold(*comm, *receive)
	case client.FullCommand():
		return getAndKeep(*url, *requests)
	case hanging.FullCommand():
		return serveAndHang(*keepalive)
	case itself.FullCommand():
		return answerThroughItself(*places)
	case server.FullCommand():
		if o, err = flags.parse(); err != nil {
			return err
		}
	}
	return onOwnThread(o, serve)
}
