package console

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"meridian/switch"
)

// terminalsBody lists terminals.
type terminalsBody struct {
	Merchant, TID string
	Locked        bool
	Now           time.Time
	List          []*switching.TerminalState
	Pager         pager
}

func (c *Console) terminals(r *http.Request) (*view, error) {
	body := &terminalsBody{Merchant: param(r, "merchant"), TID: strings.TrimSpace(param(r, "tid")), Locked: param(r, "locked") != "", Now: c.o.Now()}
	filter := switching.TerminalFilter{MID: body.Merchant, Prefix: body.TID, Offset: offset(r), Limit: listed + 1}
	if body.Locked {
		filter.LockedAt = &body.Now
	}
	list, err := switching.TerminalStates(r.Context(), c.o.Pool, filter)
	if err != nil && !errors.Is(err, switching.ErrNoMerchant) {
		return nil, err
	}
	body.List, body.Pager = page(r, list, listed)
	return &view{template: "terminals.html", title: "Terminals", section: "terminals", body: body}, nil
}

// terminalBody is one terminal.
type terminalBody struct {
	*switching.TerminalState

	Merchant string
	IsLocked bool
	Batches  []*switching.BatchSummary
	Recent   []*switching.FoundTransaction
	Audited  []*switching.AuditRow // the newest that are about it
	CanAct   bool
	Done     bool
}

func (c *Console) terminal(r *http.Request) (*view, error) {
	tid := r.PathValue("tid")
	ctx := r.Context()
	state, err := switching.FindTerminal(ctx, c.o.Pool, tid)
	if errors.Is(err, switching.ErrNoTerminal) {
		return nil, notFound("No terminal has the TID " + truncate(tid) + ".")
	}
	if err != nil {
		return nil, err
	}
	body := &terminalBody{TerminalState: state, IsLocked: state.Locked(c.o.Now()), CanAct: personOf(r).CanAct(), Done: param(r, "done") != ""}
	if m := c.o.Directory().Merchant(state.MID); m != nil {
		body.Merchant = m.Name
	}
	const few = 5
	if body.Batches, err = switching.ListBatches(ctx, c.o.Pool, switching.BatchFilter{TID: tid, Limit: few}); err != nil {
		return nil, err
	}
	found, err := switching.SearchTransactions(ctx, c.o.Pool, switching.TransactionSearch{TID: tid, Limit: few})
	if err != nil {
		return nil, err
	}
	body.Recent = found.Found
	if body.Audited, err = switching.AuditRows(ctx, c.o.Pool, switching.AuditFilter{TID: tid, Limit: few}); err != nil {
		return nil, err
	}
	return &view{template: "terminal.html", title: "Terminal " + tid, section: "terminals", body: body}, nil
}

// unlockTerminal ends a lock before its time.
func (c *Console) unlockTerminal(r *http.Request, who, why string) (string, error) {
	tid := r.PathValue("tid")
	err := switching.UnlockTerminal(r.Context(), c.o.Pool, c.o.Now(), tid, who, why)
	if errors.Is(err, switching.ErrNotLocked) {
		return "", &pageError{http.StatusConflict, "Not locked", "Terminal " + truncate(tid) + " is not locked."}
	}
	if err != nil {
		return "", err
	}
	return "/terminals/" + url.PathEscape(tid) + "?done=1", nil
}
