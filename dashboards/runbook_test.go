package dashboards

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestLinksGoToTheRunbookOfAnAlert: they go to the sections of docs/RUNBOOK.md about the alerts, at
// the same place as the links of the alerts.
func TestLinksGoToTheRunbookOfAnAlert(t *testing.T) {
	dashboard, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	alerts, err := os.ReadFile("../alerts/closewait.rules.yml")
	if err != nil {
		t.Fatal(err)
	}
	var place string
	for _, v := range load(t).Templating.List {
		if v.Name == "runbook" {
			place = *v.Query.String
		}
	}
	if place == "" || !strings.Contains(string(alerts), "runbook_url: "+place+"#") {
		t.Errorf("the runbook is at %q, not where the alerts say", place)
	}
	var known []string
	for _, found := range regexp.MustCompile(`- alert: (\w+)`).FindAllStringSubmatch(string(alerts), -1) {
		known = append(known, strings.ToLower(found[1]))
	}
	links := regexp.MustCompile(`\$\{runbook\}#(\w+)`).FindAllStringSubmatch(string(dashboard), -1)
	if len(links) == 0 {
		t.Error("no panel has a link")
	}
	for _, link := range links {
		if !slices.Contains(known, link[1]) {
			t.Errorf("a link goes to #%s, which is not an alert: %q", link[1], known)
		}
	}
}
