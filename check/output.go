package check

import (
	"io"
	"strings"
)

// service is the first word of the output. Each plugin has its own.
const service = "CLOSEWAIT"

// Write writes the line with state, text and performance data, then the details.
func (r Result) Write(w io.Writer) error {
	line := service + " " + r.State.String() + " - " + r.Text
	for i := range r.metrics {
		if i == 0 {
			line += " |"
		}
		line += " " + r.metrics[i].performance()
	}
	_, err := io.WriteString(w, strings.Join(append([]string{line}, r.details...), "\n")+"\n")
	return err
}

// plain makes a text safe for monitoring systems. A bar would begin performance data, a line break
// would end the text, and web pages could interpret the others.
func plain(text string) string {
	return strings.NewReplacer("|", `\x7c`, "\r", " ", "\n", " ", "<", `\x3c`, ">", `\x3e`, "&", `\x26`).Replace(text)
}
