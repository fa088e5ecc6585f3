package console

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"meridian/switch"
)

// token that lets somebody in, by its text.
func (w *world) token(name string, role Role) (*Token, string) {
	w.t.Helper()
	t, text, err := MakeToken(context.Background(), w.connect(), time.Now(), NewToken{Name: name, Role: role, Life: time.Hour, Who: "owner", Why: "test"})
	w.must(err)
	return t, text
}

func closed(o *Options) { o.Open, o.Clock = false, "" }

// signIn returns the session's cookie.
func (w *world) signIn(token string) func(*http.Request) {
	w.t.Helper()
	a := w.post("/sign-in", url.Values{"token": {token}, "back": {"/ledger"}}).want(w.t, 303)
	if a.header.Get("Location") != "/ledger" {
		w.t.Errorf("signed in and sent to %s", a.header.Get("Location"))
	}
	cookie, err := http.ParseSetCookie(a.header.Get("Set-Cookie"))
	w.must(err)
	if !cookie.HttpOnly || cookie.SameSite != http.SameSiteStrictMode || strings.Contains(a.header.Get("Set-Cookie"), token) {
		w.t.Errorf("cookie %v", cookie)
	}
	return func(r *http.Request) { r.AddCookie(cookie) }
}

func (w *world) audited(kind string) []string {
	w.t.Helper()
	rows, err := switching.AuditLog(w.t.Context(), w.pool, kind, 100)
	w.must(err)
	var list []string
	for _, row := range rows {
		list = append(list, row.Subject+": "+row.Detail)
	}
	return list
}

func TestNobodyGetsInWithoutAToken(t *testing.T) {
	w := newWorld(t, closed)
	for _, path := range []string{"/", "/transactions", "/messages", "/messages/stream", "/overview/stream", "/audit", "/reviews", "/nowhere"} {
		a := w.get(path).want(t, 303)
		if to := a.header.Get("Location"); to != "/sign-in?back="+url.QueryEscape(path) {
			t.Errorf("%s leads to %s", path, to)
		}
		if a.header.Get("Content-Security-Policy") != policy {
			t.Errorf("%s has no policy", path)
		}
	}
	w.post("/reviews/606900000001", url.Values{"decision": {"approve"}, "reason": {"x"}}).want(t, 401, "Sign in")
	page := w.get("/sign-in?back=//evil.example").want(t, 200, "Token")
	if !strings.Contains(page.body, `name="back" value="/"`) || strings.Contains(page.text(), "Transactions") {
		t.Errorf("the page for strangers:\n%s", page.body)
	}
	w.get(w.console.assets.path("console.css")).want(t, 200)
	_, good := w.token("ann", RoleViewer)
	for _, wrong := range []string{"", "x", "mct_0123456789abcdef_" + strings.Repeat("A", 43), good[:len(good)-1], good + "A", strings.Replace(good, "_", "-", 2)} {
		w.post("/sign-in", url.Values{"token": {wrong}}).want(t, 401, "lets nobody in")
	}
	if rows := w.audited("console_refused"); len(rows) == 0 || len(rows) > 3 || strings.Contains(fmt.Sprint(rows), good[:30]) {
		t.Errorf("audited %q", rows)
	}
	bearer := func(r *http.Request) { r.Header.Set("Authorization", "Bearer x") }
	w.send(http.MethodGet, "/", nil, bearer).want(t, 401)
}

func TestRoles(t *testing.T) {
	w := newWorld(t, closed, func(o *Options) {
		// All that can be done on a page, by whoever may.
		o.MovableClock, o.TestTerminals, o.Stories = &testClock{}, testTerminals(t), sampleStories{}
	})
	sale := w.ask(switching.KindSale, 4_500_00)
	w.settle(time.Date(2026, 3, 10, 15, 30, 0, 0, time.UTC))
	refund := w.ask(switching.KindCancel, 0, of(sale))
	if refund.Reason != switching.UnderReview {
		t.Fatal(refund.Reason)
	}
	viewerToken, viewerText := w.token("vera", RoleViewer)
	operatorToken, operatorText := w.token("otto", RoleOperator)
	viewer, operator := w.signIn(viewerText), w.signIn(operatorText)
	if rows := w.audited("console_sign_in"); len(rows) != 2 || !strings.Contains(rows[1], "console token "+viewerToken.ID+": viewer vera from 127.0.0.1") {
		t.Errorf("audited %q", rows)
	}
	decide := func(who func(*http.Request)) answer {
		return w.send(http.MethodPost, "/reviews/"+rrnOf(refund), url.Values{"decision": {"approve"}, "reason": {"receipt seen"}}, who)
	}
	page := w.send(http.MethodGet, "/reviews", nil, viewer).want(t, 200, "Refund of 4500.00 CNY", "vera, viewer")
	if strings.Contains(page.text(), "Approve") {
		t.Error("a viewer is offered to decide")
	}
	decide(viewer).want(t, 403, "Not with this role")
	if rows := w.audited("console_refused"); len(rows) == 0 || !strings.Contains(rows[len(rows)-1], "viewer vera: POST /reviews/"+rrnOf(refund)) {
		t.Errorf("audited %q", rows)
	}
	for _, path := range []string{"/terminals/" + till + "/unlock", "/clock", "/stories/void", "/builder"} {
		w.send(http.MethodPost, path, url.Values{"reason": {"x"}, "do": {"send"}, "dialect": {"nac"}}, viewer).want(t, 403, "Not with this role")
	}
	w.send(http.MethodGet, "/reviews", nil, operator).want(t, 200, "Approve", "otto, operator")
	decide(operator).want(t, 303)
	if rows := w.audited("review_decided"); len(rows) != 1 || !strings.Contains(rows[0], "otto") {
		t.Errorf("audited %q", rows)
	}
	bearer := func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+viewerText) }
	w.send(http.MethodGet, "/ledger", nil, bearer).want(t, 200)

	// A token that is revoked ends its sessions.
	w.must(RevokeToken(t.Context(), w.connect(), time.Now(), operatorToken.ID, "owner", "left"))
	if err := RevokeToken(t.Context(), w.connect(), time.Now(), operatorToken.ID, "owner", "left"); !errors.Is(err, ErrNoToken) {
		t.Errorf("revoked twice: %v", err)
	}
	w.post("/sign-in", url.Values{"token": {operatorText}}).want(t, 401)
	w.console.sessions.mu.Lock()
	for _, s := range w.console.sessions.open {
		s.checked = s.checked.Add(-2 * standsFor)
	}
	w.console.sessions.mu.Unlock()
	w.send(http.MethodGet, "/ledger", nil, operator).want(t, 303)
	w.send(http.MethodGet, "/ledger", nil, viewer).want(t, 200)
	w.send(http.MethodPost, "/sign-out", url.Values{}, viewer).want(t, 303)
	w.send(http.MethodGet, "/ledger", nil, viewer).want(t, 303)
}

func TestTokens(t *testing.T) {
	w := newWorld(t)
	made, text := w.token("ann", RoleOperator)
	list, err := Tokens(t.Context(), w.pool)
	w.must(err)
	if len(list) != 1 || list[0].ID != made.ID || list[0].Name != "ann" || list[0].Role != RoleOperator || !list[0].Valid(time.Now()) {
		t.Errorf("%+v", list)
	}
	var stored string
	w.must(w.connect().QueryRow(t.Context(), `SELECT t::text FROM console_tokens t`).Scan(&stored))
	if strings.Contains(stored, text[len(text)-20:]) {
		t.Error("the token is stored in clear")
	}
	if _, err := openToken(t.Context(), w.pool, time.Now(), text); err != nil {
		t.Error(err)
	}
	if _, err := openToken(t.Context(), w.pool, time.Now().Add(2*time.Hour), text); !errors.Is(err, ErrToken) {
		t.Errorf("after its time: %v", err)
	}
	if rows := w.audited("console_token_made"); len(rows) != 1 || !strings.Contains(rows[0], "operator of ann until") || !strings.Contains(rows[0], "by owner: test") {
		t.Errorf("audited %q", rows)
	}
	good := NewToken{Name: "a", Role: RoleViewer, Life: time.Hour, Who: "w", Why: "y"}
	for name, change := range map[string]func(*NewToken){
		"nobody": func(n *NewToken) { n.Who = "" }, "no reason": func(n *NewToken) { n.Why = "" }, "no name": func(n *NewToken) { n.Name = "" },
		"long name": func(n *NewToken) { n.Name = strings.Repeat("n", 65) }, "role": func(n *NewToken) { n.Role = "root" },
		"a card":  func(n *NewToken) { n.Name = "of 9999990000000014" },
		"no time": func(n *NewToken) { n.Life = 0 }, "for ever": func(n *NewToken) { n.Life = 500 * 24 * time.Hour },
	} {
		n := good
		change(&n)
		if _, _, err := MakeToken(t.Context(), w.connect(), time.Now(), n); err == nil {
			t.Errorf("%s: made", name)
		}
	}
	if _, _, err := MakeToken(t.Context(), w.pool, time.Now(), good); err == nil {
		t.Error("the service's role makes tokens")
	}
}

func TestSessionsEnd(t *testing.T) {
	var s sessions
	now := time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)
	found := func(name string, at time.Time) bool { _, _, _, ok := s.find(name, at, true); return ok }
	one := s.begin(&Token{ID: "1"}, now)
	if !found(one, now.Add(sessionIdle)) || found(one, now.Add(2*sessionIdle+time.Second)) || found(one, now) {
		t.Error("a session that nobody uses does not end")
	}
	left := s.begin(&Token{ID: "1"}, now)
	for at := now; at.Before(now.Add(sessionIdle)); at = at.Add(time.Minute) {
		if _, _, _, ok := s.find(left, at, false); !ok {
			t.Fatal("a session ends early")
		}
	}
	if _, _, _, ok := s.find(left, now.Add(sessionIdle+time.Second), false); ok {
		t.Error("a page that is kept fresh keeps a session open that nobody uses")
	}
	busy := s.begin(&Token{ID: "1"}, now)
	for at := now; at.Before(now.Add(sessionLife)); at = at.Add(sessionIdle / 2) {
		if !found(busy, at) {
			t.Fatal("a session that is used ends early")
		}
	}
	if found(busy, now.Add(sessionLife+time.Second)) {
		t.Error("a session outlives its day")
	}
	first := s.begin(&Token{}, now)
	for i := range maxSessions {
		s.begin(&Token{}, now.Add(time.Duration(i+1)*time.Millisecond))
	}
	if len(s.open) != maxSessions || found(first, now.Add(time.Second)) {
		t.Errorf("%d sessions", len(s.open))
	}
}

// A stream ends with what let its viewer in.
func TestStreamsEndWithTheirToken(t *testing.T) {
	w, l := newTappedWorld(t, closed)
	watch := func(path, name string) (*Token, <-chan string, func(*http.Request)) {
		made, text := w.token(name, RoleViewer)
		who := w.signIn(text)
		events, _ := w.events(path, who)
		return made, events, who
	}
	_, stays, _ := watch("/messages/stream", "ann")
	revoked, revokedEvents, _ := watch("/messages/stream", "bob")
	_, leftEvents, left := watch("/messages/stream", "cat")
	programs, text := w.token("dan", RoleViewer)
	programEvents, _ := w.events("/messages/stream", func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+text) })
	_, overview, overviewer := watch("/overview/stream", "eve")
	for _, events := range []<-chan string{stays, revokedEvents, leftEvents, programEvents} {
		next(t, events, "hello")
	}
	next(t, overview, "live")
	w.must(RevokeToken(t.Context(), w.connect(), time.Now(), revoked.ID, "owner", "left"))
	w.must(RevokeToken(t.Context(), w.connect(), time.Now(), programs.ID, "owner", "left"))
	for _, who := range []func(*http.Request){left, overviewer} {
		w.send(http.MethodPost, "/sign-out", url.Values{}, who).want(t, 303)
	}
	w.console.sessions.mu.Lock()
	for _, s := range w.console.sessions.open {
		s.checked = s.checked.Add(-2 * standsFor)
	}
	w.console.sessions.mu.Unlock()
	l.send("0200", nil)
	next(t, stays, "messages")
	for _, events := range []<-chan string{revokedEvents, leftEvents, overview} {
		for event := range events {
			if strings.HasPrefix(event, "event: messages") {
				t.Errorf("a viewer without a token was sent %s", event)
			}
		}
	}
	request := httptest.NewRequest(http.MethodGet, "/messages/stream", nil)
	request.Header.Set("Authorization", "Bearer "+text)
	if lookedUp := time.Now(); !w.console.mayWatch(request, &lookedUp) {
		t.Error("a token is looked up for every event")
	}
	if lookedUp := time.Now().Add(-2 * standsFor); w.console.mayWatch(request, &lookedUp) {
		t.Error("a program with a revoked token watches on")
	}
	w.console.o.Pool.Close()
	if lookedUp := time.Now().Add(-2 * standsFor); !w.console.mayWatch(request, &lookedUp) {
		t.Error("a database that is away ends a stream")
	}
}
