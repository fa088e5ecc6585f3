package config

import (
	"log/slog"
	"regexp"
	"strconv"
	"strings"
)

// DatabaseURL is a connection string that may hold a password. Printed in any way it shows everything but that;
// Reveal is for the one place that connects.
type DatabaseURL string

// Reveal returns the URL as it was given.
func (u DatabaseURL) Reveal() string { return string(u) }

// String returns the URL with its password hidden.
func (u DatabaseURL) String() string { return redact(string(u)) }

// GoString is String, for the verb %#v.
func (u DatabaseURL) GoString() string { return strconv.Quote(u.String()) }

// LogValue is String, for slog.
func (u DatabaseURL) LogValue() slog.Value { return slog.StringValue(u.String()) }

// MarshalText is String, for JSON and YAML.
func (u DatabaseURL) MarshalText() ([]byte, error) { return []byte(u.String()), nil }

// Redacted returns the configuration with its secrets replaced, for showing to people.
func (c Config) Redacted() Config {
	c.Database.URL = DatabaseURL(c.Database.URL.String())
	return c
}

const (
	hidden = "xxxxx"
	// oneHost is a name, or an address in brackets, and a port of digits.
	oneHost = `(?:[^:@\[\],/?#]*|\[[^\]@/?#]*\])(?::[0-9]*)?`
)

var (
	// connectionURL and connectionWords are the two forms that Postgres's clients read.
	connectionURL   = regexp.MustCompile(`^postgres(?:ql)?://`)
	connectionWords = regexp.MustCompile(`^\s*[A-Za-z_]+\s*=`)
	// passwordInQuery is a parameter such as password or sslpassword, to the end of its value.
	passwordInQuery = regexp.MustCompile(`(?i)([?&][^=&]*password[^=&]*=)[^&]*`)
	// passwordInWords is the same among words. A quote that is never closed reaches to the end.
	passwordInWords = regexp.MustCompile(`(?i)(password\s*=\s*)('(?:[^'\\]|\\.)*(?:'|\\?$)|(?:[^\s\\']|\\.)\S*)`)
	// hostsOnly is a URL's rest where no user is named: hosts with their ports, then path or query.
	hostsOnly = regexp.MustCompile(`^` + oneHost + `(?:,` + oneHost + `)*(?:[/?#]|$)`)
)

// redact hides passwords, and rather too much than too little: what cannot be told apart is hidden as a whole. It does
// not use url.Parse, which refuses several hosts, and quotes the whole URL when it refuses one.
func redact(text string) string {
	if connectionWords.MatchString(text) {
		return passwordInWords.ReplaceAllString(text, "${1}"+hidden)
	}
	scheme := connectionURL.FindString(text)
	switch {
	case text == "":
		return ""
	case scheme == "":
		return hidden
	}
	rest := passwordInQuery.ReplaceAllString(text[len(scheme):], "${1}"+hidden)
	// A password may hold what should have been escaped, so it ends at the last @ of all.
	at := strings.LastIndexByte(rest, '@')
	if at < 0 {
		if hostsOnly.MatchString(rest) {
			return scheme + rest
		}
		return scheme + hidden
	}
	if user, _, hasPassword := strings.Cut(rest[:at], ":"); hasPassword {
		return scheme + user + ":" + hidden + rest[at:]
	}
	return scheme + rest
}
