package console

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"meridian/switch"
)

// reviewsBody are the refunds that wait for a person, or all.
type reviewsBody struct {
	All    bool
	List   []*switching.Review
	Pager  pager
	CanAct bool
	Done   string
}

func (c *Console) reviews(r *http.Request) (*view, error) {
	body := &reviewsBody{All: param(r, "all") != "", CanAct: personOf(r).CanAct()}
	list, err := switching.ListReviews(r.Context(), c.o.Pool, switching.ReviewFilter{All: body.All, Limit: listed + 1, Offset: offset(r)})
	if err != nil {
		return nil, err
	}
	body.List, body.Pager = page(r, list, listed)
	switch done := param(r, "done"); done {
	case "approved", "rejected":
		body.Done = "The refund with RRN " + digitsOnly(param(r, "rrn")) + " was " + done + ". Its terminal's next repeat gets the final answer."
	}
	return &view{template: "reviews.html", title: "Reviews", section: "reviews", body: body}, nil
}

// digitsOnly keeps an address from putting words on the page.
func digitsOnly(text string) string {
	if !onlyDigits.MatchString(text) {
		return "–"
	}
	return text
}

// decideReview approves or rejects a refund.
func (c *Console) decideReview(r *http.Request, who, why string) (string, error) {
	text := r.PathValue("rrn")
	rrn, is := parseRRN(text)
	if !is {
		return "", notFound("“" + truncate(text) + "” is no RRN: it has twelve digits.")
	}
	decision := r.PostFormValue("decision")
	if decision != "approve" && decision != "reject" {
		return "", badRequest("A refund is approved or rejected.")
	}
	err := switching.DecideReview(r.Context(), c.o.Pool, c.o.Now(), switching.ReviewDecision{
		RRN: rrn, Approve: decision == "approve", Who: who, Why: why,
	})
	if errors.Is(err, switching.ErrNoReview) {
		return "", &pageError{http.StatusConflict, "Decided already", "No refund with the RRN " + text + " waits for a review any more."}
	}
	if err != nil {
		return "", err
	}
	done := map[string]string{"approve": "approved", "reject": "rejected"}[decision]
	return "/reviews?" + url.Values{"done": {done}, "rrn": {text}}.Encode(), nil
}

// exceptionsBody are the newest exceptions.
type exceptionsBody struct {
	List  []*switching.RaisedException
	Pager pager
}

func (c *Console) exceptions(r *http.Request) (*view, error) {
	list, err := switching.ExceptionsFrom(r.Context(), c.o.Pool, listed+1, offset(r))
	if err != nil {
		return nil, err
	}
	body := &exceptionsBody{}
	body.List, body.Pager = page(r, list, listed)
	return &view{template: "exceptions.html", title: "Exceptions", section: "exceptions", body: body}, nil
}

// auditBody is a page of the audit log.
type auditBody struct {
	Kind, Text string
	Kinds      []string
	List       []*switching.AuditRow
	// Who is in the rows of one kind on this page, the most frequent first.
	Who    []auditSubject
	Next   string
	First  string
	Broken bool
}

// auditSubject is who rows are about, and how many of them.
type auditSubject struct {
	Subject string
	Rows    int
}

// whoIsIn counts the subjects of rows.
func whoIsIn(rows []*switching.AuditRow) []auditSubject {
	var list []auditSubject
	for _, row := range rows {
		i := slices.IndexFunc(list, func(s auditSubject) bool { return s.Subject == row.Subject })
		if i < 0 {
			i = len(list)
			list = append(list, auditSubject{Subject: row.Subject})
		}
		list[i].Rows++
	}
	slices.SortStableFunc(list, func(a, b auditSubject) int { return b.Rows - a.Rows })
	return list
}

// subjectPath is the page of whom a row of the audit log is about; empty without one.
// Subjects are such as "terminal 10000001", "terminal 10000001: MAC x919", "terminal
// 10000001 batch 000007" and "mac key of terminal 10000001".
func subjectPath(subject string) string {
	folders := map[string]string{"terminal": "/terminals/", "merchant": "/merchants/", "RRN": "/transactions/"}
	what, rest, _ := strings.Cut(subject, " ")
	if folders[what] == "" {
		_, subject, _ = strings.Cut(subject, " of ")
		what, rest, _ = strings.Cut(subject, " ")
	}
	name, _, more := strings.Cut(rest, " ")
	if more {
		name = strings.TrimSuffix(name, ":")
	}
	if folders[what] == "" || name == "" {
		return ""
	}
	return folders[what] + url.PathEscape(name)
}

// auditKinds are offered to choose from; others can be typed.
var auditKinds = []string{
	"mac_failure", "terminal_locked", "terminal_unlocked", "denied_unknown_terminal", "denied_terminal_locked", "review_decided",
	"merchant_added", "merchant_changed", "merchant_suspended", "merchant_resumed", "terminal_added", "terminal_changed",
	"policy_added", "policy_changed", "calendar_added", "range_added", "terms_changed",
	"card_added", "card_loaded", "card_blocked", "card_unblocked",
	"story_played", "message_sent", "console_token_made", "console_token_revoked", "console_sign_in", "console_refused", "clock_moved",
}

func (c *Console) audit(r *http.Request) (*view, error) {
	body := &auditBody{Kind: param(r, "kind"), Text: param(r, "text"), Kinds: auditKinds}
	filter := switching.AuditFilter{Kind: body.Kind, Text: body.Text, Limit: listed + 1}
	query := url.Values{}
	for name, value := range map[string]string{"kind": body.Kind, "text": body.Text} {
		if value != "" {
			query.Set(name, value)
		}
	}
	if before := param(r, "before"); before != "" {
		var err error
		if filter.Before, err = strconv.ParseInt(before, 10, 64); err != nil || filter.Before < 1 {
			return nil, badRequest("The address of this page is damaged. Begin at the first page.")
		}
		body.First = "/audit?" + query.Encode()
	}
	list, err := switching.AuditRows(r.Context(), c.o.Pool, filter)
	if err != nil {
		return nil, err
	}
	if body.Kind != "" {
		body.Who = whoIsIn(list[:min(len(list), listed)])
	}
	if body.List = list[:min(len(list), listed)]; len(list) > listed {
		query.Set("before", strconv.FormatInt(body.List[listed-1].ID, 10))
		body.Next = "/audit?" + query.Encode()
	}
	if samples := c.meter.kept(); len(samples) > 0 {
		body.Broken = samples[len(samples)-1].gauges.AuditBroken > 0
	}
	return &view{template: "audit.html", title: "Audit log", section: "audit", body: body}, nil
}

// merchantsBody lists the merchants.
type merchantsBody struct {
	Search    string // in the MID or, in whatever case, in the name
	Suspended bool
	List      []*switching.Merchant
	Pager     pager
}

func (c *Console) merchants(r *http.Request) (*view, error) {
	body := &merchantsBody{Search: strings.TrimSpace(param(r, "search")), Suspended: param(r, "suspended") != ""}
	var fit []*switching.Merchant
	for _, m := range c.o.Directory().Merchants() {
		found := strings.Contains(m.MID, body.Search) || strings.Contains(strings.ToLower(m.Name), strings.ToLower(body.Search))
		if found && !(body.Suspended && m.Active) {
			fit = append(fit, m)
		}
	}
	body.List, body.Pager = page(r, fit[min(offset(r), len(fit)):], listed)
	return &view{template: "merchants.html", title: "Merchants", section: "merchants", body: body}, nil
}

// merchantBody is one merchant.
type merchantBody struct {
	*switching.Merchant

	Calendar  string
	Terminals []*switching.TerminalState
	More      bool // there are more terminals
	Settings  []setting
}

// setting of a policy in words.
type setting struct{ Name, Value string }

func (c *Console) merchant(r *http.Request) (*view, error) {
	mid := r.PathValue("mid")
	directory := c.o.Directory()
	m := directory.Merchant(mid)
	if m == nil || m.MID != mid {
		return nil, notFound("No merchant has the MID " + truncate(mid) + ".")
	}
	body := &merchantBody{Merchant: m}
	for _, calendar := range directory.Calendars() {
		if calendar.ID == m.CalendarID {
			body.Calendar = calendar.Cutoff.String() + " " + calendar.Zone.String()
		}
	}
	terminals, err := switching.TerminalStates(r.Context(), c.o.Pool, switching.TerminalFilter{MID: mid, Limit: listed + 1})
	if err != nil {
		return nil, err
	}
	body.Terminals, body.More = terminals[:min(len(terminals), listed)], len(terminals) > listed
	if body.Settings, err = c.settings(r.Context(), m.Policy.Name); err != nil {
		return nil, err
	}
	return &view{template: "merchant.html", title: m.Name, section: "merchants", body: body}, nil
}
