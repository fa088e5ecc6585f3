package config

import (
	"errors"
	"io/fs"
	"net/url"
	"regexp"
	"strings"

	"github.com/jackc/pgx/v5/pgxpool"
)

// Reasons for a connection string to be refused. None of them repeats any part of it.
const (
	notConnectionString = "is neither a postgres:// URL nor a connection string such as host=… dbname=…"
	notPlainURL         = "is no URL of the form postgres://user:password@host:port/database?parameter=value: " +
		"in a name or password @ is written %40, / %2F, ? %3F, # %23, % %25 and a space %20"
	notPlainWords = "is no connection string of the form name=value name=value: a value with spaces is written between ' and ', " +
		"with \\ before each ' and \\ in it"
	notUsable = "is none that a connection can be made with: a parameter has a value that it cannot have"
	noHost    = "has an @ in the host: in the password of a URL it is written %40"
)

// Forms of a connection URL's parts, with whatever could belong to two of them escaped.
const (
	urlText  = `(?:[^:@/?#%\s]|%[0-9A-Fa-f]{2})*`
	urlValue = `(?:[^&#%\s]|%[0-9A-Fa-f]{2})*`
	urlPair  = `[A-Za-z_.]+=` + urlValue
)

var (
	// plainURL has one reading. In others the password ends where a client thinks it does (some at the first @, some at the
	// last, all at a slash), and what follows is taken for a host, whose name is then in errors and in questions to name servers.
	plainURL = regexp.MustCompile(`^postgres(?:ql)?://(?:` + urlText + `(?::(?:` + urlText + `:?)*)?@)?` +
		oneHost + `(?:,` + oneHost + `)*(?:/` + urlText + `)?(?:\?(?:` + urlPair + `(?:&` + urlPair + `)*)?)?$`)
	// plainWords is the same for words, where an unquoted password's second word is taken for a name.
	plainWords = regexp.MustCompile(`^\s*(?:[A-Za-z_.]+\s*=\s*(?:'(?:[^'\\]|\\.)*'|(?:[^\s'\\]|\\.)*)(?:\s+|$))+$`)
	// hostInWords is the value of a host among words.
	hostInWords = regexp.MustCompile(`(?:^|\s)host(?:addr)?\s*=\s*('(?:[^'\\]|\\.)*'|\S*)`)
)

// Wrong says why a URL is not one that every client reads in the same way, or nothing. It shows no part of it.
func (u DatabaseURL) Wrong() string {
	text := string(u)
	switch {
	case connectionWords.MatchString(text):
		if !plainWords.MatchString(text) {
			return notPlainWords
		}
		for _, host := range hostInWords.FindAllStringSubmatch(text, -1) {
			if strings.Contains(host[1], "@") {
				return noHost
			}
		}
		if !usable(text) {
			return notUsable
		}
		return ""
	case !connectionURL.MatchString(text):
		return notConnectionString
	case !plainURL.MatchString(text):
		return notPlainURL
	}
	parsed, err := url.Parse(text)
	if err != nil { // it quotes what it could not read
		return notPlainURL
	}
	if strings.Contains(parsed.Host+parsed.Query().Get("host")+parsed.Query().Get("hostaddr"), "@") {
		return noHost
	}
	if !usable(text) {
		return notUsable + culprit(parsed)
	}
	return ""
}

// usable tells whether the client takes a connection string. A file that it names (a CA's certificate, a key) may be missing
// where a configuration is only checked: hosts tell of that when they connect.
func usable(text string) bool {
	_, err := pgxpool.ParseConfig(text)
	_, isFile := errors.AsType[*fs.PathError](err)
	return err == nil || isFile
}

// culprit names the parameter without which a URL is usable, or nothing. It is one that the client knows: others are the
// server's, and their values are not looked at.
func culprit(u *url.URL) string {
	query := u.Query()
	for name := range query {
		without := *u
		others := url.Values{}
		for other, values := range query {
			if other != name {
				others[other] = values
			}
		}
		without.RawQuery = others.Encode()
		if usable(without.String()) {
			return ": " + name
		}
	}
	return ""
}
