// Package docs has the documents of the exporter, which it also serves: those who are called at night may
// have no other copy at hand, and this one is of the version that runs.
package docs

import "embed"

// Files are the documents, in Markdown.
//
//go:embed *.md
var Files embed.FS
