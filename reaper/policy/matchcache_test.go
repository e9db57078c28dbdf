package policy

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"closewait_exporter/closewait"
	"closewait_exporter/reaper/rules"
)

func TestTheCacheIsBounded(t *testing.T) {
	m, cache := rules.Match{Exe: regexp.MustCompile(`^/bin/.*1$`)}, newMatchCache()
	for i := range 3 * cacheSize {
		p := &closewait.Process{Exe: fmt.Sprintf("/bin/%d", i)}
		if ok, _ := m.MatchesBy(cache.fits, p, nil); ok != strings.HasSuffix(p.Exe, "1") {
			t.Fatalf("%s: %v", p.Exe, ok)
		}
	}
	if n := len(cache.results[m.Exe]); n > cacheSize {
		t.Errorf("%d results kept", n)
	}
}

func TestTheCacheChangesNoResult(t *testing.T) {
	none, cache := (*matchCache)(nil), newMatchCache()
	for range 2 {
		for _, e := range []*regexp.Regexp{nil, regexp.MustCompile(`^a?$`), regexp.MustCompile(`^b$`)} {
			for _, text := range []string{"", "a", "b"} {
				if got, want := cache.fits(e, text), none.fits(e, text); got != want {
					t.Errorf("%v, %q: %v with a cache, %v without", e, text, got, want)
				}
			}
		}
	}
}

func BenchmarkMatchCache(b *testing.B) {
	m := rules.Match{Exe: regexp.MustCompile(`\A(?s:.*/bin/java)\z`), Unit: regexp.MustCompile(`\A(?s:tomcat.*\.service)\z`)}
	p := &closewait.Process{Exe: "/usr/lib/jvm/java-21-openjdk-amd64/bin/java", Unit: "tomcat9.service", User: "tomcat"}
	fits := newMatchCache().fits
	for b.Loop() {
		m.MatchesBy(fits, p, nil)
	}
}
