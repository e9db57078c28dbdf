package main

import "embed"

// documents are the documents of this version, at their places in the repository. The exporter
// serves them: on call there may be no other copy, and these match the running version.
//
//go:embed README.md SECURITY.md docs/*.md docs/decisions/*.md
//go:embed alerts/README.md alerts/closewait.rules.yml dashboards/README.md deploy/reaper.example.yml
var documents embed.FS
