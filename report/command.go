package report

import (
	"path"
	"regexp"
	"strings"

	"closewait_exporter/closewait"
)

// Commands reads the command line of a process; empty if it is not known. It is nil where nothing
// may show command lines, as on the page and in the API.
type Commands func(*closewait.Process) string

// maxCommand is the number of cells to which a command line is shortened.
const maxCommand = 80

const leftOut = "…"

var (
	// secretName is part of the name of an option or a variable whose value can be secret.
	secretName = regexp.MustCompile(`(?i)pass|pwd|secret|token|credential|auth|bearer|cookie|session|key`)
	// shortSecret are options of one letter whose value can be secret: the password of mysql and
	// sshpass, the user and password of curl, the password of redis-cli.
	shortSecret = regexp.MustCompile(`^-[apu]`)
	// harmlessValue are values that such options have in other programs: a port, and behind python -u
	// the script.
	harmlessValue = map[string]*regexp.Regexp{
		"-a": regexp.MustCompile(`^$`),
		"-p": regexp.MustCompile(`^[0-9]{1,5}$`),
		"-u": regexp.MustCompile(`^[\w./-]+\.\w{1,4}$`),
	}
	// userInfo is the user and password before the host of an address.
	userInfo = regexp.MustCompile(`^((?:[^=]*=)?(?:[\w+.-]+://)?)[^@]*:.*@`)
	// digitPart is a part of a word that can be a token if it is long.
	digitPart = regexp.MustCompile(`[^/=,:]*[0-9][^/=,:]*`)
)

// command shortens a command line, and leaves out what can be secret: users, passwords and queries
// in addresses, the values of options whose names say so, and words that look like tokens. It
// cannot know every option of every program.
func command(line string) string {
	var words []string
	option := "" // whose value may follow and can be secret, up to the next option; empty: none
	for i, word := range strings.Fields(line) {
		if i == 0 {
			words = append(words, withoutToken(path.Base(word)))
			continue
		}
		if option != "" && !strings.HasPrefix(word, "-") {
			if value := harmlessValue[option]; value == nil || !value.MatchString(word) {
				if !strings.HasSuffix(words[len(words)-1], leftOut) {
					words = append(words, leftOut)
				}
				continue
			}
		}
		word, option = withoutSecret(word)
		words = append(words, word)
	}
	if len(words) == 0 {
		return "-"
	}
	return cut(Text(strings.Join(words, " ")), maxCommand)
}

// withoutSecret returns a word of a command line without what can be secret. The option is not
// empty if the words behind it can belong to the secret.
func withoutSecret(word string) (shown, option string) {
	if shortSecret.MatchString(word) {
		option, value := word[:len("-x")], word[len("-x"):]
		if value != "" && !harmlessValue[option].MatchString(value) {
			return option + leftOut, option + leftOut
		}
		if value != "" {
			option = ""
		}
		return word, option
	}
	word = userInfo.ReplaceAllString(word, "${1}"+leftOut+"@")
	if strings.Contains(word, "://") {
		if address, _, query := strings.Cut(word, "?"); query {
			word = address + leftOut
		}
	}
	if at := secretName.FindStringIndex(word); at != nil {
		if end := strings.IndexAny(word[at[0]:], "=:"); end >= 0 {
			return word[:at[0]+end+1] + leftOut, word
		}
		if !strings.ContainsAny(word, "/.") {
			return word, word
		}
	}
	return withoutToken(shortPath(word)), ""
}

// shortPath keeps the end of an absolute path: its name, and a directory with a short name. The
// beginning is what programs have in common.
func shortPath(word string) string {
	const longest = 10
	directory, name := path.Split(word)
	parent := path.Base(directory)
	switch {
	case !strings.HasPrefix(word, "/") || name == "" || strings.Count(word, "/") < 3:
		return word
	case len(parent) > longest:
		return leftOut + "/" + name
	}
	return leftOut + "/" + parent + "/" + name
}

// withoutToken leaves out the parts of a word that are long enough to be a token or an id.
func withoutToken(word string) string {
	const longest = 15 // a number, a date, a name with a version
	return digitPart.ReplaceAllStringFunc(word, func(part string) string {
		if len(part) > longest {
			return leftOut
		}
		return part
	})
}
