package reaper

import (
	"regexp"
	"testing"

	"closewait_exporter/closewait"
)

func BenchmarkMatches(b *testing.B) {
	m := Match{Exe: regexp.MustCompile(`\A(?s:.*/bin/java)\z`), Unit: regexp.MustCompile(`\A(?s:tomcat.*\.service)\z`), memo: newMemo()}
	p := &closewait.Process{Exe: "/usr/lib/jvm/java-21-openjdk-amd64/bin/java", Unit: "tomcat9.service", User: "tomcat"}
	for b.Loop() {
		m.Matches(p, nil)
	}
}
