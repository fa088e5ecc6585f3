package certification

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// Status of a case.
type Status string

const (
	// Passed on evidence.
	Passed Status = "passed"
	// Open is to be shown yet.
	Open Status = "open"
	// Extra is open too, and nothing that every terminal needs.
	Extra Status = "optional"
	// NotApplicable is none of the terminal's.
	NotApplicable Status = "not applicable"
)

// Case is one thing that a terminal has to show.
type Case struct {
	ID     string `json:"id"`
	Title  string `json:"title"`
	Status Status `json:"status"`
	// Evidence in words; what to do, or why it is none, where it is not passed.
	Evidence string    `json:"evidence"`
	RRN      string    `json:"rrn,omitempty"`
	Batch    int32     `json:"batch,omitempty"`
	At       time.Time `json:"at,omitzero"` // by the business clock
}

// Checklist of one terminal.
type Checklist struct {
	TID      string    `json:"tid"`
	MID      string    `json:"mid"`
	Merchant string    `json:"merchant"`
	Dialect  string    `json:"dialect"`
	MAC      string    `json:"mac"`
	At       time.Time `json:"at"` // of the examination, by the business clock
	Version  string    `json:"version"`
	// Needed cases, and how many of them are passed.
	Needed   int    `json:"needed"`
	Passed   int    `json:"passed"`
	Complete bool   `json:"complete"`
	Cases    []Case `json:"cases"`
	// Examined transactions, the newest of the terminal; Truncated where it has more.
	Examined  int  `json:"transactions_examined"`
	Truncated bool `json:"truncated,omitempty"`
}

// count sums the cases up.
func (l *Checklist) count() {
	for _, c := range l.Cases {
		switch c.Status {
		case Passed:
			if !optional(c.ID) {
				l.Needed, l.Passed = l.Needed+1, l.Passed+1
			}
		case Open:
			l.Needed++
		case Extra, NotApplicable:
		}
	}
	l.Complete = l.Needed > 0 && l.Passed == l.Needed
}

// Verdict in a line.
func (l *Checklist) Verdict() string {
	if l.Complete {
		return fmt.Sprintf("complete: all %d cases are passed", l.Needed)
	}
	return fmt.Sprintf("%d of %d cases are passed", l.Passed, l.Needed)
}

// WriteText writes the checklist for a terminal's screen.
func (l *Checklist) WriteText(w io.Writer) {
	fmt.Fprintf(w, "Terminal %s of %s (%s), %s, MAC %s\n", l.TID, l.Merchant, l.MID, l.Dialect, l.MAC)
	for _, c := range l.Cases {
		mark := map[Status]string{Passed: "[x]", Open: "[ ]", Extra: "( )", NotApplicable: " - "}[c.Status]
		fmt.Fprintf(w, "%s %-36s %s\n", mark, c.Title, c.line())
	}
	fmt.Fprintf(w, "%s\n", l.Verdict())
}

// line is the evidence with where it is found.
func (c *Case) line() string {
	parts := []string{c.Evidence}
	if c.RRN != "" {
		parts = append(parts, "RRN "+c.RRN)
	}
	if c.Batch != 0 {
		parts = append(parts, fmt.Sprintf("batch %06d", c.Batch))
	}
	if !c.At.IsZero() {
		parts = append(parts, c.At.UTC().Format("2006-01-02 15:04:05 UTC"))
	}
	return strings.Join(parts, ", ")
}

// WriteMarkdown writes the report that is handed on.
func (l *Checklist) WriteMarkdown(w io.Writer) {
	cell := strings.NewReplacer("|", `\|`, "\n", " ", "<", "&lt;").Replace
	fmt.Fprintf(w, "# Certification of terminal %s\n\n", cell(l.TID))
	fmt.Fprintf(w, "%s.\n\n", strings.ToUpper(l.Verdict()[:1])+l.Verdict()[1:])
	fmt.Fprintf(w, "| | |\n| --- | --- |\n| Merchant | %s (%s) |\n| Dialect | %s |\n| MAC | %s |\n| Examined | %s, %d transactions%s |\n| Host | Meridian %s |\n\n",
		cell(l.Merchant), cell(l.MID), l.Dialect, l.MAC, l.At.UTC().Format("2006-01-02 15:04:05 UTC"), l.Examined, l.more(), cell(l.Version))
	fmt.Fprintf(w, "| case | status | evidence |\n| --- | --- | --- |\n")
	for _, c := range l.Cases {
		fmt.Fprintf(w, "| %s | %s | %s |\n", cell(c.Title), c.Status, cell(c.line()))
	}
}

func (l *Checklist) more() string {
	if l.Truncated {
		return ", the newest of more"
	}
	return ""
}
