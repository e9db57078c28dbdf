package rules

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"closewait_exporter/closewait"
)

var tomcat = closewait.Process{
	Exe: "/usr/lib/jvm/17/bin/java", UID: 998, User: "tomcat", Unit: "tomcat9.service",
	Container: "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
}

func TestMatch(t *testing.T) {
	cases := map[string]struct {
		match, want string // want: why not
	}{
		"the program":                       {`exe: .*/bin/java`, ""},
		"a part of the path of the program": {`exe: /bin/java`, `exe "/usr/lib/jvm/17/bin/java" does not match /bin/java`},
		"the arguments":                     {`command: .* catalina start`, ""},
		"other arguments":                   {`command: catalina`, `command "java -Xmx1g catalina start" does not match catalina`},
		"the unit":                          {`unit: 'tomcat\d+\.service'`, ""},
		"the user by name":                  {`user: tomcat`, ""},
		"the user by number":                {`user: 998`, ""},
		"another user":                      {`user: root`, `user "tomcat" does not match root`},
		"the whole id of the container":     {`container: "[0-9a-f]{64}"`, ""},
		"the short id of the container":     {`container: "0123456789ab"`, ""},
		"an id that is too short":           {`container: "0123456789a"`, `container "` + tomcat.Container + `" does not match 0123456789a`},
		"all of several":                    {`exe: .*java, unit: tomcat.*, user: tomcat, command: .*catalina.*`, ""},
		"all but one of several":            {`exe: .*java, unit: jetty.*, user: tomcat, command: .*catalina.*`, `unit "tomcat9.service" does not match jetty.*`},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			ok, why := matchOf(t, c.match).Matches(&tomcat, func() (string, error) { return "java -Xmx1g catalina start", nil })
			if ok != (c.want == "") || !ok && why.String() != c.want {
				t.Errorf("%v, %s, want %q", ok, why, c.want)
			}
		})
	}
}

func TestNamesThatTheHostHasNotChosenMatchOnlyAsAWholeGroup(t *testing.T) {
	inside := map[string]*closewait.Process{
		"user":      {Nested: "user@1000.service/shop.service"},
		"lxc":       {Nested: "lxc:101/shop.service"},
		"machine":   {Nested: "lxc:101"},
		"nested":    {Nested: "container:0123456789ab/shop.service", Container: tomcat.Container},
		"container": {Nested: "user@1000.service/container:0123456789ab"},
		"host":      {Unit: "shop.service"},
	}
	for _, c := range []struct {
		match string
		want  []string
	}{
		{`unit: 'shop\.service'`, []string{"host"}},
		{`unit: '.*'`, []string{"host"}},
		{`unit: '.*shop\.service'`, []string{"host"}},
		{`unit: '(user@.*)?shop\.service'`, []string{"host"}},
		{`unit: 'user@1000\.service/shop\.service'`, []string{"user"}},
		{`unit: 'user@1000\.service/.*'`, []string{"user"}},
		{`unit: 'lxc:101/.*'`, []string{"lxc"}},
		{`unit: '(lxc:101/)?shop\.service'`, []string{"host", "lxc"}},
		{`container: '0123456789ab'`, []string{"nested"}},
		{`container: '.*'`, []string{"nested"}},
		{`container: 'user@1000\.service/container:.*'`, []string{"container"}},
		{`container: 'lxc:101(/.*)?'`, []string{"lxc", "machine"}},
	} {
		var got []string
		for name, p := range inside {
			if ok, _ := matchOf(t, c.match).Matches(p, nil); ok {
				got = append(got, name)
			}
		}
		if slices.Sort(got); !slices.Equal(got, c.want) {
			t.Errorf("%s matches %v, want %v", c.match, got, c.want)
		}
	}
	_, why := matchOf(t, `unit: '.*\.service'`).Matches(inside["user"], nil)
	if want := `unit "user@1000.service/shop.service" does not match .*\.service, because the host did not choose this name: only an expression with a slash is compared with it`; why.String() != want {
		t.Errorf("got %s\nwant %s", why, want)
	}
}

func TestWhatIsNotKnownNeverMatches(t *testing.T) {
	for _, key := range []string{"exe", "unit", "user", "container", "command"} {
		ok, why := matchOf(t, key+": .*").Matches(&closewait.Process{Comm: "kthreadd"}, func() (string, error) { return "", nil })
		if want := key + " is unknown or empty"; ok || why.String() != want {
			t.Errorf("%v, %s, want %s", ok, why, want)
		}
	}
	broken := errors.New("took longer than 1s")
	ok, why := matchOf(t, "command: .*").Matches(&tomcat, func() (string, error) { return "half of", broken })
	if want := "command is unknown: took longer than 1s"; ok || why.String() != want || !errors.Is(why.Err, broken) {
		t.Errorf("%v, %s, want %s", ok, why, want)
	}
}

func TestArgumentsAreOnlyReadWhenAllElseMatches(t *testing.T) {
	for text, want := range map[string]int{
		"command: x, exe: .*java": 1, "command: x, exe: .*python": 0, "command: x, unit: y": 0, "command: x, user: y": 0, "command: x, container: y": 0, "exe: .*": 0,
	} {
		asked := 0
		matchOf(t, text).Matches(&tomcat, func() (string, error) { asked++; return "x", nil })
		if asked != want {
			t.Errorf("%s: read %d times, want %d", text, asked, want)
		}
	}
}

// matchOf reads the match of a rule.
func matchOf(t *testing.T, keys string) *Match {
	t.Helper()
	config, err := Parse("rules.yml", []byte(strings.Replace(smallest, "exe: /bin/web", keys, 1)))
	if err != nil {
		t.Fatal(err)
	}
	return &config.Rules[0].Match
}

func TestIgnore(t *testing.T) {
	cases := []struct {
		ignore, local, remote string
		want                  bool
	}{
		{"remote: [10.0.0.1]", "10.9.9.9:80", "10.0.0.1:1234", true},
		{"remote: [10.0.0.1]", "10.9.9.9:80", "10.0.0.2:1234", false},
		{"remote: [10.0.0.1]", "[::ffff:10.9.9.9]:80", "[::ffff:10.0.0.1]:1234", true},
		{"remote: ['::ffff:10.0.0.1']", "10.9.9.9:80", "10.0.0.1:1234", true},
		{"remote: ['10.0.0.1:2049']", "10.9.9.9:80", "10.0.0.1:2049", true},
		{"remote: ['10.0.0.1:2049']", "10.9.9.9:80", "10.0.0.1:2050", false},
		{"remote: ['10.0.0.1:2049']", "10.0.0.1:2049", "10.9.9.9:80", false},
		{"remote: [10.1.0.0/16]", "10.9.9.9:80", "10.1.255.255:1", true},
		{"remote: [10.1.0.0/16]", "10.9.9.9:80", "10.2.0.0:1", false},
		{"remote: [0.0.0.0/0]", "[fd00::9]:80", "[fd00::1]:1", false},
		{"remote: ['::/0']", "10.9.9.9:80", "10.0.0.1:1", false},
		{"remote: ['::/0']", "[::ffff:10.9.9.9]:80", "[::ffff:10.0.0.1]:1", false},
		{"remote: ['[fd00::]/8']", "[fd00::9]:80", "[fdff::1]:1", true},
		{"remote: ['[fd00::1]:443']", "[fd00::9]:80", "[fd00::1]:443", true},
		{"remote: ['[fe80::1]:443']", "[fe80::9%eth0]:80", "[fe80::1%eth0]:443", true},
		{"remote: ['[fd00::1]:443']", "[fd00::9]:80", "[fd00::1]:444", false},
		{"remote: [10.0.0.2, 10.0.0.1]", "10.9.9.9:80", "10.0.0.1:1", true},
		{"local_port: [22, 80]", "10.9.9.9:80", "10.0.0.1:1", true},
		{"local_port: [22]", "10.9.9.9:80", "10.0.0.1:22", false},
		{"remote: [], local_port: []", "10.9.9.9:80", "10.0.0.1:22", false},
	}
	for _, c := range cases {
		config, err := Parse("rules.yml", []byte(smallest+"    ignore: {"+c.ignore+"}\n"))
		if err != nil {
			t.Fatal(err)
		}
		facts := &closewait.Facts{Local: netip.MustParseAddrPort(c.local), Remote: netip.MustParseAddrPort(c.remote)}
		if got := config.Rules[0].Ignore.Matches(facts); got != c.want {
			t.Errorf("%s, %s to %s: %v, want %v", c.ignore, c.local, c.remote, got, c.want)
		}
	}
}
