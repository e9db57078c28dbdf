// Package docs embeds the documents of the exporter, which it also serves. A person on call may have no
// other copy, and this one matches the running version.
package docs

import "embed"

// Files are the documents, in Markdown.
//
//go:embed *.md
var Files embed.FS
