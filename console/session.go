package console

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"meridian/switch"
)

// Who signed in is known to this process alone: a restart asks for the token
// again. A browser has a random name for it in a cookie that scripts cannot read,
// and here is the hash of that name.

const (
	sessionCookie = "meridian-session"
	// sessionLife is a working day.
	sessionLife = 12 * time.Hour
	// sessionIdle ends what nobody uses, such as on a screen that was left: that a
	// page there is kept fresh is no use of it.
	sessionIdle = time.Hour
	// maxSessions at once; beyond it the one that was unused longest ends.
	maxSessions = 1000
	// standsFor is how long a token that was looked up is taken to stand: a revoked
	// one is of no use after that.
	standsFor = 5 * time.Second
)

// session is somebody who signed in.
type session struct {
	person  person
	tokenID string
	ends    time.Time
	used    time.Time
	checked time.Time
}

// sessions are those who signed in.
type sessions struct {
	mu   sync.Mutex
	open map[[sha256.Size]byte]*session
}

// begin opens a session and returns its name.
func (s *sessions) begin(t *Token, now time.Time) string {
	random := make([]byte, secretBytes)
	_, _ = rand.Read(random) // it never fails
	name := base64.RawURLEncoding.EncodeToString(random)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open == nil {
		s.open = map[[sha256.Size]byte]*session{}
	}
	if len(s.open) >= maxSessions {
		s.endOldest()
	}
	s.open[sha256.Sum256([]byte(name))] = &session{
		person: person{Name: t.Name, Role: t.Role}, tokenID: t.ID, ends: now.Add(sessionLife), used: now, checked: now,
	}
	return name
}

func (s *sessions) endOldest() {
	var oldest [sha256.Size]byte
	var at time.Time
	for key, one := range s.open {
		if at.IsZero() || one.used.Before(at) {
			oldest, at = key, one.used
		}
	}
	delete(s.open, oldest)
}

// end closes a session.
func (s *sessions) end(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, sha256.Sum256([]byte(name)))
}

// find returns who a session is of; due tells that its token has to be looked up
// again, and uses that somebody asks, not only a page that is kept fresh.
func (s *sessions) find(name string, now time.Time, uses bool) (p person, tokenID string, due, found bool) {
	key := sha256.Sum256([]byte(name))
	s.mu.Lock()
	defer s.mu.Unlock()
	one := s.open[key]
	if one == nil {
		return person{}, "", false, false
	}
	if now.After(one.ends) || now.Sub(one.used) > sessionIdle {
		delete(s.open, key)
		return person{}, "", false, false
	}
	if uses {
		one.used = now
	}
	return one.person, one.tokenID, now.Sub(one.checked) > standsFor, true
}

// stands notes that a session's token was looked up.
func (s *sessions) stands(name string, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if one := s.open[sha256.Sum256([]byte(name))]; one != nil {
		one.checked = now
	}
}

// signedIn lets in who signed in, and shows everybody else the way to do so.
// Sessions go by the real time, whatever the business clock shows.
func (c *Console) signedIn(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, err := c.whoAsks(r)
		switch {
		case err != nil && !errors.Is(err, ErrToken):
			c.fail(w, r, err)
		case err == nil:
			next.ServeHTTP(w, withPerson(r, p))
		case r.Method == http.MethodGet && r.Header.Get("Authorization") == "":
			to := "/sign-in?" + url.Values{"back": {here(r)}}.Encode()
			http.Redirect(w, r, to, http.StatusSeeOther)
		default:
			c.fail(w, r, errSignIn)
		}
	})
}

var errSignIn = &pageError{status: http.StatusUnauthorized, title: "Sign in", detail: "Sign in with a token first."}

// whoAsks is who signed in, by a session or, for programs, by the token itself.
// Errors: [ErrToken] for nobody.
func (c *Console) whoAsks(r *http.Request) (person, error) {
	now := time.Now()
	if text, bearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); bearer {
		t, err := openToken(r.Context(), c.o.Pool, now, text)
		if err != nil {
			return person{}, err
		}
		return person{Name: t.Name, Role: t.Role}, nil
	}
	cookie, err := r.Cookie(sessionCookie)
	if err != nil {
		return person{}, ErrToken
	}
	p, tokenID, due, found := c.sessions.find(cookie.Value, now, !isStream(r))
	if !found {
		return person{}, ErrToken
	}
	if due {
		stands, err := tokenStands(r.Context(), c.o.Pool, now, tokenID)
		if err != nil {
			return person{}, err
		}
		if !stands {
			c.sessions.end(cookie.Value)
			return person{}, ErrToken
		}
		c.sessions.stands(cookie.Value, now)
	}
	return p, nil
}

// isStream tells whether a request is one of a page that is kept fresh.
func isStream(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/stream") }

// mayWatch tells a stream before each event whether it may go on: whoever signed
// out, or has a token no more, watches no longer. lookedUp is when a program's token
// was; those of sessions are looked up as for pages. A database that is away says
// nothing about anybody.
func (c *Console) mayWatch(r *http.Request, lookedUp *time.Time) bool {
	now := time.Now()
	if c.o.Open || r.Header.Get("Authorization") != "" && now.Sub(*lookedUp) <= standsFor {
		return true
	}
	*lookedUp = now
	ctx, cancel := context.WithTimeout(r.Context(), pageTimeout)
	defer cancel()
	_, err := c.whoAsks(r.WithContext(ctx))
	return !errors.Is(err, ErrToken)
}

// signInBody is the page that asks for a token.
type signInBody struct {
	Back    string
	Problem string
}

func (c *Console) signInPage(r *http.Request) (*view, error) {
	body := &signInBody{Back: localPath(r.URL.Query().Get("back"))}
	return &view{template: "sign-in.html", title: "Sign in", body: body}, nil
}

// signIn opens a session. A wrong token leaves a row in the audit log, of which
// there are no more than one a second.
func (c *Console) signIn(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), pageTimeout)
	defer cancel()
	now := time.Now()
	back := localPath(r.PostFormValue("back"))
	t, err := openToken(ctx, c.o.Pool, now, r.PostFormValue("token"))
	switch {
	case errors.Is(err, ErrToken):
		if c.refusals.allow(now) {
			c.note(ctx, "console_refused", "console", "a token that lets nobody in, from "+address(r))
		}
		c.write(w, r, http.StatusUnauthorized, &view{
			template: "sign-in.html", title: "Sign in", body: &signInBody{Back: back, Problem: "This token lets nobody in: it is wrong, expired or revoked."},
		})
		return
	case err != nil:
		c.fail(w, r, err)
		return
	}
	c.note(ctx, "console_sign_in", "console token "+t.ID, string(t.Role)+" "+t.Name+" from "+address(r))
	http.SetCookie(w, c.sessionCookie(r, c.sessions.begin(t, now), int(sessionLife.Seconds())))
	http.Redirect(w, r, back, http.StatusSeeOther) //nolint:gosec // localPath stays here
}

// signOut ends a session.
func (c *Console) signOut(w http.ResponseWriter, r *http.Request) {
	if cookie, err := r.Cookie(sessionCookie); err == nil {
		c.sessions.end(cookie.Value)
	}
	http.SetCookie(w, c.sessionCookie(r, "", -1))
	http.Redirect(w, r, "/sign-in", http.StatusSeeOther)
}

func (c *Console) sessionCookie(r *http.Request, value string, maxAge int) *http.Cookie {
	return &http.Cookie{ //nolint:gosec // without TLS the console is for this machine alone
		Name: sessionCookie, Value: value, Path: "/", MaxAge: maxAge, HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: r.TLS != nil,
	}
}

// address of who asks, without its port.
func address(r *http.Request) string {
	if i := strings.LastIndexByte(r.RemoteAddr, ':'); i > 0 {
		return r.RemoteAddr[:i]
	}
	return r.RemoteAddr
}

// note writes to the audit log what changes nothing else.
func (c *Console) note(ctx context.Context, kind, subject, detail string) {
	if err := c.record(ctx, kind, subject, detail); err != nil {
		c.log.Error("cannot write to the audit log", "kind", kind, "error", err)
	}
}

// record is note for what must not happen without its row.
func (c *Console) record(ctx context.Context, kind, subject, detail string) error {
	err := pgx.BeginFunc(ctx, c.o.Pool, func(tx pgx.Tx) error {
		return switching.AppendAudit(ctx, tx, switching.AuditEntry{At: c.o.Now(), Kind: kind, Subject: subject, Detail: detail})
	})
	if err != nil {
		return fmt.Errorf("write to the audit log: %w", err)
	}
	return nil
}

// onceASecond lets something happen once a second.
type onceASecond struct {
	mu   sync.Mutex
	last time.Time
}

func (o *onceASecond) allow(now time.Time) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if now.Sub(o.last) < time.Second {
		return false
	}
	o.last = now
	return true
}
