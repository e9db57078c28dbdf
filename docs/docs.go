// Package docs embeds the documents, which the exporter also serves: on call there may be no other
// copy at hand, and this one matches the running version.
package docs

import "embed"

// Files are the documents, in Markdown.
//
//go:embed *.md
var Files embed.FS
