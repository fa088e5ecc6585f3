package console

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// view is one page before it is written: a template, its heading, and what it
// shows. Or a way elsewhere.
type view struct {
	template string
	title    string
	// section of the navigation that the page belongs to.
	section  string
	body     any
	redirect string
}

// pageFunc makes a page. Its context ends when nobody waits for it any more.
type pageFunc func(r *http.Request) (*view, error)

// frame is what stands around every page.
type frame struct {
	Title   string
	Section string
	Sandbox bool
	Version string
	Theme   string // "", light or dark
	Person  person
	Here    string // path and query, to come back to
	Now     time.Time
	Clock   string
	// CanMoveClock: there is a page for it.
	CanMoveClock bool
	Pages        []navigationGroup
	Body         any
}

// page serves what a function makes.
func (c *Console) page(build pageFunc) http.Handler { return c.pageWithin(pageTimeout, build) }

// pageWithin is a page that may take as long as that.
func (c *Console) pageWithin(timeout time.Duration, build pageFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), timeout)
		defer cancel()
		v, err := build(r.WithContext(ctx))
		switch {
		case err != nil:
			c.fail(w, r, err)
		case v.redirect != "":
			http.Redirect(w, r, v.redirect, http.StatusSeeOther)
		default:
			c.write(w, r, http.StatusOK, v)
		}
	})
}

// write renders a page as a whole before its first byte leaves, so that half a
// page never looks like one.
func (c *Console) write(w http.ResponseWriter, r *http.Request, status int, v *view) {
	var b bytes.Buffer
	f := frame{
		Title: v.title, Section: v.section, Sandbox: c.o.Open, Version: c.o.Version, Theme: theme(r),
		Person: personOf(r), Here: here(r), Now: c.o.Now().UTC(), Clock: c.o.Clock, CanMoveClock: c.o.MovableClock != nil, Pages: c.navigation(), Body: v.body,
	}
	if err := c.pages.render(&b, v.template, &f); err != nil {
		c.log.Error("cannot render a page", "template", v.template, "error", err)
		http.Error(w, "The page cannot be shown; the log says why.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes())
}

// here is where a page can be had again: what was understood of its address, and
// nothing else that stood in it.
func here(r *http.Request) string {
	if r.Method != http.MethodGet {
		return "/"
	}
	return (&url.URL{Path: r.URL.Path, RawPath: r.URL.RawPath, RawQuery: r.URL.Query().Encode()}).RequestURI()
}

// fail shows an error: what a person can do about it, and nothing of the inside.
func (c *Console) fail(w http.ResponseWriter, r *http.Request, err error) {
	shown, ok := asPageError(err)
	if !ok {
		shown = c.explainFailure(r, err)
	}
	c.write(w, r, shown.status, &view{template: "error.html", title: shown.title, body: shown.detail})
}

func (c *Console) explainFailure(r *http.Request, err error) *pageError {
	refused, fromServer := errors.AsType[*pgconn.PgError](err)
	if fromServer && refused.Code == "22021" { // character_not_in_repertoire
		return &pageError{http.StatusBadRequest, "That cannot be looked up", "What was asked for has bytes in it that are no text."}
	}
	if r.Context().Err() == nil || errors.Is(err, context.DeadlineExceeded) {
		c.log.Error("a page failed", "path", r.URL.Path, "error", err)
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return &pageError{
			http.StatusGatewayTimeout, "That took too long",
			fmt.Sprintf("The database did not answer within %s. Narrow the search: a terminal, or fewer business dates.", pageTimeout),
		}
	}
	if !fromServer {
		if _, connecting := errors.AsType[*pgconn.ConnectError](err); connecting || pgconn.SafeToRetry(err) {
			return &pageError{
				http.StatusServiceUnavailable, "The database is away",
				"It cannot be reached. Terminals are answered 96 or 91 meanwhile, and nothing is approved. Load the page again when it is back.",
			}
		}
	}
	return &pageError{http.StatusInternalServerError, "That did not work", "Something went wrong that should not have. The host's log has the reason."}
}

const (
	themeCookie = "meridian-appearance"
	themeLight  = "light"
	themeDark   = "dark"
)

// theme that the person chose; empty follows the system.
func theme(r *http.Request) string {
	cookie, err := r.Cookie(themeCookie)
	if err != nil || cookie.Value != themeLight && cookie.Value != themeDark {
		return ""
	}
	return cookie.Value
}

// appearance keeps the choice between light and dark.
func (c *Console) appearance(w http.ResponseWriter, r *http.Request) {
	choice := r.PostFormValue("appearance")
	cookie := http.Cookie{ //nolint:gosec // a colour is no secret, and a sandbox has no TLS
		Name: themeCookie, Value: choice, Path: "/", MaxAge: int((365 * 24 * time.Hour).Seconds()),
		HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: r.TLS != nil,
	}
	if choice != themeLight && choice != themeDark {
		cookie.Value, cookie.MaxAge = "", -1
	}
	http.SetCookie(w, &cookie)
	http.Redirect(w, r, localPath(r.PostFormValue("back")), http.StatusSeeOther) //nolint:gosec // localPath stays here
}

// localPath is a path of this console, whatever was asked for.
func localPath(asked string) string {
	if len(asked) < 1 || asked[0] != '/' || len(asked) > 1 && (asked[1] == '/' || asked[1] == '\\') {
		return "/"
	}
	for i := range len(asked) {
		if asked[i] < ' ' || asked[i] == '\\' {
			return "/"
		}
	}
	return asked
}
