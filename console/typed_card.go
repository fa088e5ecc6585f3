package console

import (
	"net/http"
	"net/url"
	"strings"

	"meridian/internal/card"
	"meridian/switch"
)

// withoutCards keeps full card numbers out of addresses, and so out of pages, which
// lead back to their own: whoever typed one is sent to the address without it before
// anything else is done, signing in included.
func (c *Console) withoutCards(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		to, hidden := hideCards(r.URL, c.o.Directory())
		switch {
		case !hidden:
			next.ServeHTTP(w, r)
		case r.Method == http.MethodGet || r.Method == http.MethodHead:
			http.Redirect(w, r, localPath(to.RequestURI()), http.StatusSeeOther) //nolint:gosec // localPath stays here
		default:
			c.fail(w, r, badRequest("The address has a card number in it."))
		}
	})
}

// hideCards returns an address without card numbers, and whether it had any.
func hideCards(u *url.URL, directory *switching.Directory) (without *url.URL, hidden bool) {
	parts := strings.Split(u.Path, "/")
	for i, part := range parts {
		parts[i] = hideCard(part, directory)
		hidden = hidden || parts[i] != part
	}
	query := u.Query()
	for name, values := range query {
		for i, value := range values {
			shown := hideCard(value, directory)
			if name == "q" || name == "card" {
				shown = hideNumber(shown, directory) // mistyped ones, too
			}
			hidden = hidden || shown != value
			values[i] = shown
		}
	}
	return &url.URL{Path: strings.Join(parts, "/"), RawQuery: query.Encode()}, hidden
}

// hideCard shortens what passes for a card number in a text to what of one is shown.
// A merchant's number may look like a card's.
func hideCard(text string, directory *switching.Directory) string {
	return card.HideTyped(text, func(digits string) bool { return directory.Merchant(digits) != nil })
}

// hideNumber shortens a text that is a number of a card's length.
func hideNumber(text string, directory *switching.Directory) string {
	digits := card.Ungrouped(text)
	if !onlyDigits.MatchString(digits) || len(digits) <= rrnDigits || len(digits) > card.MaxPANDigits || directory.Merchant(digits) != nil {
		return text
	}
	return digits[:6] + "…" + digits[len(digits)-4:]
}
