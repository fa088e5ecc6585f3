package console

import (
	"fmt"
	"html/template"
	"io"
	"io/fs"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	"meridian/internal/money"
)

// pages are the templates, parsed once: each page with the layout and the parts.
type pages struct {
	byName map[string]*template.Template
}

func loadPages(a *assets) (*pages, error) {
	base, err := template.New("").Funcs(functions(a)).ParseFS(embedded, "templates/layout.html", "templates/parts.html")
	if err != nil {
		return nil, fmt.Errorf("read the console's templates: %w", err)
	}
	names, err := fs.Glob(embedded, "templates/*.html")
	if err != nil {
		return nil, fmt.Errorf("read the console's templates: %w", err)
	}
	p := &pages{byName: map[string]*template.Template{}}
	for _, name := range names {
		one, err := base.Clone()
		if err == nil {
			_, err = one.ParseFS(embedded, name)
		}
		if err != nil {
			return nil, fmt.Errorf("read the console's templates: %w", err)
		}
		p.byName[path.Base(name)] = one
	}
	return p, nil
}

// render writes a whole page.
func (p *pages) render(w io.Writer, name string, f *frame) error {
	return p.part(w, name, "layout", f)
}

// part writes one named template of a page.
func (p *pages) part(w io.Writer, name, part string, data any) error {
	t := p.byName[name]
	if t == nil {
		return fmt.Errorf("no template %s", name)
	}
	if err := t.ExecuteTemplate(w, part, data); err != nil {
		return fmt.Errorf("render %s: %w", name, err)
	}
	return nil
}

func functions(a *assets) template.FuncMap {
	return template.FuncMap{
		"asset":     a.path,
		"money":     formatMoney,
		"minor":     formatMinor,
		"card":      shortCard,
		"capital":   capital,
		"otherwise": otherwise,
		"human":     human,
		"date":      func(t time.Time) string { return t.UTC().Format("2006-01-02") },
		"clock":     func(t time.Time) string { return t.UTC().Format("15:04:05") },
		"instant":   func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05") },
		"exact":     func(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) },
		"count":     func(n int64) string { return group(fmt.Sprint(n)) },
		"dict":      dict,
		"optional":  optionalMoney,

		"becameAnother": becameAnother,
		"segment":       url.PathEscape,
		"subjectPath":   subjectPath,
	}
}

// dict hands several values to a part.
func dict(pairs ...any) (map[string]any, error) {
	if len(pairs)%2 != 0 {
		return nil, fmt.Errorf("%d values are no pairs", len(pairs))
	}
	m := make(map[string]any, len(pairs)/2)
	for i := 0; i < len(pairs); i += 2 {
		key, ok := pairs[i].(string)
		if !ok {
			return nil, fmt.Errorf("%v is no name", pairs[i])
		}
		m[key] = pairs[i+1]
	}
	return m, nil
}

// human makes words of a name such as under_review.
func human(name any) string { return strings.ReplaceAll(fmt.Sprint(name), "_", " ") }

// shortCard leaves out what is masked anyway: 621234…0001.
func shortCard(masked string) string {
	if masked == "" {
		return "–"
	}
	first, last := strings.IndexByte(masked, '*'), strings.LastIndexByte(masked, '*')
	if first < 0 {
		return masked
	}
	return masked[:first] + "…" + masked[last+1:]
}

// groupSpace parts thousands and never breaks a line.
const groupSpace = "\u202f"

// formatMinor is an amount in its currency's decimals, for reading.
func formatMinor(minor int64, currency money.Currency) string {
	return group(money.FormatMinor(minor, currency))
}

func formatMoney(minor int64, currency money.Currency) string {
	return formatMinor(minor, currency) + "\u00a0" + currency.Alpha()
}

// group parts a number's thousands, from five digits on.
func group(number string) string {
	sign, digits := "", number
	if strings.HasPrefix(digits, "-") {
		sign, digits = "−", digits[1:]
	}
	whole, decimals, hasDecimals := strings.Cut(digits, ".")
	if len(whole) > 4 {
		var parts []string
		for len(whole) > 3 {
			parts = append([]string{whole[len(whole)-3:]}, parts...)
			whole = whole[:len(whole)-3]
		}
		whole = strings.Join(append([]string{whole}, parts...), groupSpace)
	}
	if hasDecimals {
		whole += "." + decimals
	}
	return sign + whole
}

type navigationGroup struct {
	Name  string
	Items []navigationItem
}

type navigationItem struct{ Section, Path, Name string }

// navigation of this console: what it has not is not offered.
func (c *Console) navigation() []navigationGroup {
	var tools []navigationItem
	if c.o.MovableClock != nil {
		tools = append(tools, navigationItem{"clock", "/clock", "Clock"})
	}
	if c.o.TestTerminals != "" {
		tools = append(tools, navigationItem{"builder", "/builder", "Message builder"})
	}
	tools = append(tools, c.sandboxTools()...)
	if c.o.Scenarios != nil {
		tools = append(tools, navigationItem{"scenarios", "/scenarios", "Scenarios"})
	}
	if len(tools) == 0 {
		return navigation
	}
	return append(slices.Clone(navigation), navigationGroup{"Sandbox", tools})
}

var navigation = []navigationGroup{
	{"Now", []navigationItem{
		{"overview", "/", "Overview"},
		{"messages", "/messages", "Live messages"},
	}},
	{"Money", []navigationItem{
		{"transactions", "/transactions", "Transactions"},
		{"batches", "/batches", "Batches"},
		{"settlement", "/settlement", "Settlement"},
		{"cutover", "/cutover", "Cutover"},
		{"ledger", "/ledger", "Ledger"},
	}},
	{"People", []navigationItem{
		{"reviews", "/reviews", "Reviews"},
		{"exceptions", "/exceptions", "Exceptions"},
		{"audit", "/audit", "Audit log"},
	}},
	{"Setup", []navigationItem{
		{"merchants", "/merchants", "Merchants"},
		{"terminals", "/terminals", "Terminals"},
		{"documents", "/documentation", "Documentation"},
	}},
}
