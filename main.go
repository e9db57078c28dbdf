// closewait_exporter exports which processes leak sockets in CLOSE_WAIT, to Prometheus and to
// people.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"closewait_exporter/internal/app"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	os.Exit(app.Run(ctx, os.Args[1:], documents, os.Stdout, os.Stderr))
}
