package console

import (
	"context"
	"net/http"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"meridian/internal/card"
)

// Role is what somebody may do.
type Role string

const (
	// RoleViewer looks.
	RoleViewer Role = "viewer"
	// RoleOperator looks and decides.
	RoleOperator Role = "operator"
)

// person is who asks.
type person struct {
	Name string
	Role Role
}

// CanAct tells whether the person may change something.
func (p person) CanAct() bool { return p.Role == RoleOperator }

type personKey struct{}

// personOf is who asks; nobody, who may do nothing, if that is not known.
func personOf(r *http.Request) person {
	p, _ := r.Context().Value(personKey{}).(person)
	return p
}

func withPerson(r *http.Request, p person) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), personKey{}, p))
}

var errNotAllowed = &pageError{
	status: http.StatusForbidden, title: "Not with this role",
	detail: "Your token is a viewer's. Changing something needs an operator's.",
}

// maxReasonLetters is what people read in a list.
const maxReasonLetters = 500

// writeMargin is left to write the page after what took so long.
const writeMargin = 5 * time.Second

// actionFunc changes something and says where to go from there. It sees to the
// audit log itself, in the transaction that changes what it changes.
type actionFunc func(r *http.Request, who, why string) (to string, err error)

// action serves a change by an operator, who says why.
func (c *Console) action(change actionFunc) http.Handler { return c.actionWithin(pageTimeout, change) }

// actionWithin is an action that may take as long as that.
func (c *Console) actionWithin(timeout time.Duration, change actionFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who := personOf(r)
		if err := c.mayAct(r); err != nil {
			c.fail(w, r, err)
			return
		}
		if timeout+writeMargin > writeTimeout {
			// Where the connection has no deadlines, as in a test without one, none is needed.
			_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(timeout + writeMargin))
		}
		ctx, cancel := context.WithTimeout(r.Context(), timeout)
		defer cancel()
		why, err := reason(r)
		var to string
		if err == nil {
			to, err = change(r.WithContext(ctx), who.Name, why)
		}
		if err != nil {
			c.fail(w, r, err)
			return
		}
		http.Redirect(w, r, to, http.StatusSeeOther)
	})
}

// mayAct refuses viewers, and keeps that one tried.
func (c *Console) mayAct(r *http.Request) error {
	who := personOf(r)
	if who.CanAct() {
		return nil
	}
	if c.refusals.allow(time.Now()) {
		c.note(r.Context(), "console_refused", "console", "viewer "+who.Name+": "+r.Method+" "+truncate(r.URL.Path))
	}
	return errNotAllowed
}

// reason is why somebody changes something: one line, for the audit log, without the
// card number that it may be about.
func reason(r *http.Request) (string, error) {
	why := strings.TrimSpace(r.PostFormValue("reason"))
	switch {
	case why == "":
		return "", badRequest("Say why: it is kept in the audit log.")
	case utf8.RuneCountInString(why) > maxReasonLetters:
		return "", badRequest("The reason is longer than 500 letters.")
	case strings.ContainsFunc(why, func(l rune) bool { return !unicode.IsPrint(l) }):
		return "", badRequest("The reason has a line end, or another character that cannot be shown.")
	}
	return card.HideTyped(why, nil), nil
}
