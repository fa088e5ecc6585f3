package console

import (
	"errors"
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// policy lets a page load what this console serves, and nothing else: no script
// or style in the page itself, no frame around it, no form that goes elsewhere.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"form-action 'self'; frame-ancestors 'none'; base-uri 'none'"

// maxFormBytes is far more than any form of ours sends.
const maxFormBytes = 64 << 10

// guard stands before everything: the headers of every answer, and who may ask.
func (c *Console) guard(next http.Handler) http.Handler {
	origins := http.NewCrossOriginProtection() // forms of other sites; browsers say where a request comes from
	origins.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.fail(w, r, errForbiddenOrigin)
	}))
	checked := origins.Handler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
		h.Set("Cache-Control", "no-store")
		r.Body = http.MaxBytesReader(w, r.Body, maxFormBytes)
		if c.o.Open && !isThisMachine(r.Host) {
			c.fail(w, r, errForeignHost)
			return
		}
		checked.ServeHTTP(w, r)
	})
}

var (
	errForbiddenOrigin = &pageError{
		status: http.StatusForbidden, title: "Not from another site",
		detail: "The request came from a page of another site. Open the console itself and try again.",
	}
	errForeignHost = &pageError{
		status: http.StatusForbidden, title: "Not under this name",
		detail: "A sandbox's console answers to localhost and to addresses, not to other names.",
	}
)

// isThisMachine tells whether a Host header names an address or localhost. A name
// that somebody else made point here is neither.
func isThisMachine(host string) bool {
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	name = strings.Trim(name, "[]")
	if strings.EqualFold(name, "localhost") {
		return true
	}
	_, err := netip.ParseAddr(name)
	return err == nil
}

// pageError is a failure that is told to the person as it is.
type pageError struct {
	status        int
	title, detail string
}

func (e *pageError) Error() string { return e.title + ": " + e.detail }

var errNotFound = &pageError{
	status: http.StatusNotFound, title: "Nothing here",
	detail: "There is no such page, or what it showed does not exist.",
}

// notFound says what does not exist.
func notFound(detail string) error {
	return &pageError{status: http.StatusNotFound, title: "Not found", detail: detail}
}

// badRequest says what is wrong with a question.
func badRequest(detail string) error {
	return &pageError{status: http.StatusBadRequest, title: "That cannot be looked up", detail: detail}
}

func asPageError(err error) (*pageError, bool) { return errors.AsType[*pageError](err) }
