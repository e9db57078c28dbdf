package inspect

import (
	"strings"
	"testing"
)

func TestTheFirstLineHasNoSecrets(t *testing.T) {
	long := strings.Repeat("x", peekSize)
	for data, want := range map[string]string{
		"GET /search HTTP/1.1\r\nCookie: secret\r\n":           "GET /search HTTP/1.1",
		"GET /search?q=secret HTTP/1.1\r\n":                    "GET /search... HTTP/1.1",
		"GET /a;jsessionid=secret HTTP/1.1\r\n":                "GET /a... HTTP/1.1",
		"GET /a%3Fsecret HTTP/1.1\r\n":                         "GET /a... HTTP/1.1",
		"GET /token=secret HTTP/1.1\r\n":                       "GET /token... HTTP/1.1",
		"GET http://user:secret@host/path?secret HTTP/1.1\r\n": "GET http://...@host/path... HTTP/1.1",
		"GET http://user:sec/ret@host/path HTTP/1.1\r\n":       "GET http://...@host/path HTTP/1.1",
		"GET //user:secret@host/path HTTP/1.1\r\n":             "GET ...@host/path HTTP/1.1",
		"GET /@scope/package HTTP/1.1\r\n":                     "GET /@scope/package HTTP/1.1",
		"DESCRIBE rtsp://user:secret@host/1 RTSP/1.0\r\n":      "DESCRIBE rtsp://...@host/1 RTSP/1.0",
		"INVITE sip:user:secret@host SIP/2.0\r\n":              "INVITE ... SIP/2.0",
		"POST /reset/9f86d081884c7d659a2feaa0 HTTP/1.1\r\n":    "POST /reset/... HTTP/1.1",
		"GET /files/2026-11-30/a.txt HTTP/1.1\r\n":             "GET /files/2026-11-30/a.txt HTTP/1.1",
		"GET /old\n": "GET /old",
		"GET /" + strings.Repeat("a", 200) + " HTTP/1.1\r\n": "GET /" + strings.Repeat("a", 92) + "... HTTP/1.1",
		("GET /a?" + long)[:peekSize]:                        "GET /a...",
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n":                   "PRI * HTTP/2.0",
		"HTTP/1.1 302 to /?secret\r\nLocation: /?secret\r\n": "HTTP/1.1 302",
		"AUTH secret\r\n":                                    "AUTH ...",
		"QUIT\r\n":                                           "QUIT",
		"get key\r\n":                                        "get ...",
		"hello":                                              "text, 5 bytes",
		"correct horse battery\r\n":                          "text, 23 bytes",
		"c2VjcmV0\r\n":                                       "text, 10 bytes",
		"dXNlcnNlY3JldHM\r\n":                                "text, 17 bytes",
		"password=secret&user=1":                             "text, 22 bytes",
		"*2\r\n$4\r\nAUTH\r\n$6\r\nsecret\r\n":               "text, 26 bytes",
		"dXNlcjpzZWNyZXQ=\r\n":                               "text, 18 bytes",
		"{\"password\": \"secret\"}":                         "text, 22 bytes",
		"GET secret\r\n":                                     "GET ...",
		long:                                                 "text, 1024 bytes or more",
		"\x16\x03\x01\x02\x00\x01":                           "TLS, encrypted",
		"\x00\x00\x00\x08\x04\xd2\x16\x2fsecret":             "binary data, 14 bytes",
		"GET /\x1b[2J HTTP/1.1\r\n":                          "binary data, 20 bytes",
		"GET /\u202egpj HTTP/1.1\r\n":                        "binary data, 22 bytes",
		"\r\n":                                               "text, 2 bytes",
	} {
		if got := firstLine([]byte(data)); got != want {
			t.Errorf("%.60q: %q, want %q", data, got, want)
		}
	}
}

func FuzzFirstLine(f *testing.F) {
	f.Add("GET", "/search", "q=1", "HTTP/1.1\r\n")
	f.Add("GET", "http://user:pw@host/", "", "")
	f.Fuzz(func(t *testing.T, method, path, query, rest string) {
		const secret = "S3cretValue"
		for _, data := range []string{
			method + " " + path + "?" + query + secret + " " + rest,
			method + " http://" + query + ":" + secret + "@" + path + " " + rest,
			method + " " + secret + rest,
			path + "\n" + secret,
		} {
			line := firstLine([]byte(data))
			if len(line) > maxLine+len(" ABCDEFGH/1.1") || line == "" {
				t.Errorf("%d characters: %q", len(line), line)
			}
			for _, c := range []byte(line) {
				if c < ' ' || c > '~' {
					t.Errorf("byte %#x in %q", c, line)
				}
			}
			clean := !strings.Contains(method+path, secret) && !strings.ContainsAny(method+path+query, " \n\r")
			if clean && strings.Contains(line, secret) {
				t.Errorf("%q of %q has the secret", line, data)
			}
		}
	})
}
