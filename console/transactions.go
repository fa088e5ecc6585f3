package console

import (
	"net/http"

	"meridian/switch"
)

// transactionsBody is a page of a search.
type transactionsBody struct {
	Form   *searchForm
	Took   string // what the one field was taken for
	Page   *switching.TransactionPage
	Next   string // address of the next page
	First  string // address of the first page, where this is another
	Kinds  []string
	States []string
}

// searchKinds are the kinds that transactions have.
var searchKinds = []switching.Kind{
	switching.KindAuthorization, switching.KindSale, switching.KindCompletion, switching.KindAdvice, switching.KindVoid,
	switching.KindRefund, switching.KindReversal, switching.KindBalance, switching.KindAdjustment, switching.KindScript,
	switching.KindSettlement, switching.KindUpload, switching.KindTrailer,
}

var searchStates = []switching.State{
	switching.StateDeclined, switching.StateApproved, switching.StateCompleted, switching.StateVoided, switching.StateReversed,
	switching.StateExpired, switching.StateAbandoned, switching.StateUnderReview,
}

func (c *Console) transactions(r *http.Request) (*view, error) {
	form, err := readSearchForm(r)
	if err != nil {
		return nil, err
	}
	directory := c.o.Directory()
	body := &transactionsBody{Form: form, Kinds: names(searchKinds), States: names(searchStates)}
	if body.Took, err = form.understand(directory); err != nil {
		return nil, err
	}
	search, err := form.search(directory)
	if err != nil {
		return nil, err
	}
	if after := r.URL.Query().Get("after"); after != "" {
		if search.After, err = switching.ParseTransactionPlace(after); err != nil {
			return nil, badRequest("The address of this page is damaged. Begin at the first page.")
		}
		body.First = "/transactions?" + form.query().Encode()
	}
	if body.Page, err = switching.SearchTransactions(r.Context(), c.o.Pool, search); err != nil {
		return nil, err
	}
	if body.Took == "an RRN" && len(body.Page.Found) == 1 {
		return &view{redirect: "/transactions/" + body.Page.Found[0].RRN}, nil
	}
	if next := body.Page.Next; next != nil {
		query := form.query()
		query.Set("after", next.String())
		body.Next = "/transactions?" + query.Encode()
	}
	return &view{template: "transactions.html", title: "Transactions", section: "transactions", body: body}, nil
}

func names[T interface{ String() string }](list []T) []string {
	texts := make([]string, len(list))
	for i, one := range list {
		texts[i] = one.String()
	}
	return texts
}
