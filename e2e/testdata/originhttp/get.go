// A program that requests the page whose URL it reads from standard input, and does not close the
// body of the answer. It answers each line with a number.
package main

import (
	"bufio"
	"fmt"
	"net/http"
	"os"
)

func main() {
	fmt.Println(0) // where other programs write their port
	var kept []*http.Response
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		answer, err := http.Get(lines.Text()) //nolint:bodyclose // it leaks on purpose
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		kept = append(kept, answer)
		fmt.Println(len(kept))
	}
}
