package console

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"

	"meridian/internal/money"
	"meridian/switch"
)

// batchesBody is a page of the list of batches.
type batchesBody struct {
	Merchant, Terminal string
	Current, Differing bool
	List               []*switching.BatchSummary
	Pager              pager
}

// listed is how many rows a page of a list has.
const listed = 50

// pager leads through a list.
type pager struct{ Newer, Older string }

// maxOffset bounds how far a list is paged: further back a search is better.
const maxOffset = 10_000

// offset that an address asks for.
func offset(r *http.Request) int {
	n, err := strconv.Atoi(r.URL.Query().Get("skip"))
	if err != nil || n < 0 {
		return 0
	}
	return min(n, maxOffset)
}

// page leads on from rows of a list that was asked for one more than it shows.
func page[T any](r *http.Request, list []T, most int) ([]T, pager) {
	var p pager
	at := offset(r)
	to := func(skip int) string {
		query := r.URL.Query()
		query.Del("skip")
		if skip > 0 {
			query.Set("skip", strconv.Itoa(skip))
		}
		return (&url.URL{Path: r.URL.Path, RawPath: r.URL.RawPath, RawQuery: query.Encode()}).String()
	}
	if at > 0 {
		p.Newer = to(max(0, at-most))
	}
	if len(list) > most {
		list = list[:most]
		if at+most <= maxOffset {
			p.Older = to(at + most)
		}
	}
	return list, p
}

// param is a value of an address that is short enough to be one.
func param(r *http.Request, name string) string {
	if value := r.URL.Query().Get(name); len(value) <= maxFieldBytes {
		return value
	}
	return ""
}

func (c *Console) batches(r *http.Request) (*view, error) {
	body := &batchesBody{
		Merchant: param(r, "merchant"), Terminal: param(r, "terminal"),
		Current: param(r, "current") != "", Differing: param(r, "differing") != "",
	}
	list, err := switching.ListBatches(r.Context(), c.o.Pool, switching.BatchFilter{
		MID: body.Merchant, TID: body.Terminal, Current: body.Current, Differing: body.Differing, Limit: listed + 1, Offset: offset(r),
	})
	if err != nil {
		return nil, err
	}
	body.List, body.Pager = page(r, list, listed)
	return &view{template: "batches.html", title: "Batches", section: "batches", body: body}, nil
}

// batchBody is one batch with a page of its transactions.
type batchBody struct {
	*switching.BatchReport

	Page *switching.TransactionPage
	Next string
	// Stated is what the terminal says that the batch comes to, line by line.
	Stated []statedTotal
}

// statedTotal is one line of a terminal's own totals.
type statedTotal struct {
	Name  string
	Count int32
	Minor int64
}

func (c *Console) batch(r *http.Request) (*view, error) {
	number, err := strconv.ParseInt(r.PathValue("number"), 10, 32)
	if err != nil || number < 1 {
		return nil, notFound("“" + truncate(r.PathValue("number")) + "” is no batch number.")
	}
	tid := r.PathValue("tid")
	report, err := switching.FindBatch(r.Context(), c.o.Pool, tid, int32(number))
	if errors.Is(err, switching.ErrNoBatch) {
		return nil, notFound("Terminal " + truncate(tid) + " has no batch " + strconv.FormatInt(number, 10) + ".")
	}
	if err != nil {
		return nil, err
	}
	body := &batchBody{BatchReport: report, Stated: stated(report.Stated)}
	search := switching.TransactionSearch{TID: tid, BatchNo: int32(number), Limit: listed}
	if after := r.URL.Query().Get("after"); after != "" {
		if search.After, err = switching.ParseTransactionPlace(after); err != nil {
			return nil, badRequest("The address of this page is damaged. Begin at the first page.")
		}
	}
	if body.Page, err = switching.SearchTransactions(r.Context(), c.o.Pool, search); err != nil {
		return nil, err
	}
	if body.Page.Next != nil {
		body.Next = (&url.URL{Path: r.URL.Path, RawPath: r.URL.RawPath, RawQuery: url.Values{"after": {body.Page.Next.String()}}.Encode()}).String()
	}
	title := "Batch " + strconv.FormatInt(number, 10) + " of terminal " + tid
	return &view{template: "batch.html", title: title, section: "batches", body: body}, nil
}

// stated totals in the form that the terminal has.
func stated(s *switching.StatedTotals) []statedTotal {
	switch {
	case s == nil:
		return nil
	case s.Form == switching.TotalsNet:
		return []statedTotal{{"Sales less voids", s.SaleCount, s.SaleMinor}}
	case s.Form == switching.TotalsGross:
		return []statedTotal{{"Debits", s.SaleCount, s.SaleMinor}, {"Credits", s.RefundCount, s.RefundMinor}}
	default:
		return []statedTotal{{"Sales", s.SaleCount, s.SaleMinor}, {"Refunds", s.RefundCount, s.RefundMinor}}
	}
}

// optionalMoney is an amount that one side may not have.
func optionalMoney(minor *int64, currency money.Currency) string {
	if minor == nil {
		return "–"
	}
	return formatMoney(*minor, currency)
}
