package dialect

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"meridian/switch"
)

// updateVariable makes these tests write their pages: make docs.
const updateVariable = "MERIDIAN_TEST_UPDATE"

func reference(t *testing.T, name, want string) {
	t.Helper()
	path := filepath.Join("..", "..", "docs", "reference", name)
	if os.Getenv(updateVariable) != "" {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != want {
		t.Errorf("docs/reference/%s is stale: make docs writes it anew (%v)", name, err)
	}
}

// lastRule of the void-or-refund table.
const lastRule switching.Rule = 32

// TestReferenceRules writes the decision's rules with what terminals are told.
func TestReferenceRules(t *testing.T) {
	var page strings.Builder
	page.WriteString(`# Decision rules

The rules by which a void, a refund or a cancel is decided, with what terminals are answered (F39); written from the program
itself (` + "`make docs`" + `). How they are tried is told in [Void or refund](../explanation/void-or-refund.md); what an answer's reasons are called in
other tables, in [Response codes](response-codes.md).

A rule's number is in the answer (F63) and stored with the transaction: it keeps its meaning for ever. One answer
can have several rules behind it: the last one counts, ` + "`meridian transaction show`" + ` has them all. Where a profile of ` + "`unionpay`" + `
answers a void and a refund differently, both are given.

| rule | applies when | otherwise | reason | ` + "`nac`, `ascii` | `unionpay` cup | spp | posp |" + `
| --- | --- | --- | --- | --- | --- | --- | --- |
`)
	if len(columns) != len(Profiles()) {
		t.Fatalf("the profiles are %v", Profiles())
	}
	for rule := switching.Rule(1); rule <= lastRule; rule++ {
		reasons := rule.Reasons()
		if len(reasons) == 0 {
			fmt.Fprintf(&page, "| %s | %s | | never yet: only links to issuers will have originals in flight | | | | |\n", rule, rule.Sentence())
		}
		for i, reason := range reasons {
			name, sentence, passed := "", "", ""
			if i == 0 {
				name, sentence, passed = rule.String(), rule.Sentence(), rule.Passed()
			}
			fmt.Fprintf(&page, "| %s | %s | %s | `%s` | %s |%s\n", name, sentence, passed, reason, codeOf(reason), profileCells(rule, reason))
		}
	}
	reference(t, "decision-rules.md", page.String())
}

// columns are the profiles in the order of the tables here and in dialects.md.
var columns = []string{DefaultProfile, "spp", "posp"}

// profileCells are F39 in each profile, for a void and a refund where they differ.
func profileCells(rule switching.Rule, reason switching.Reason) string {
	var cells strings.Builder
	for _, name := range columns {
		p := profiles[name]
		answer := &switching.Response{Rule: rule, Reason: reason}
		asVoid, asRefund := p.code(switching.KindVoid, answer), p.code(switching.KindRefund, answer)
		if asVoid != asRefund {
			asVoid = "void " + asVoid + ", refund " + asRefund
		}
		fmt.Fprintf(&cells, " %s |", asVoid)
	}
	return cells.String()
}

// TestReferenceCodes writes what each reason is in each dialect.
func TestReferenceCodes(t *testing.T) {
	var page strings.Builder
	page.WriteString(`# Response codes

Why a request is answered as it is, and the characters of F39 for it; written from the program itself (` + "`make docs`" + `). The reason
says more than the code, which several share. Of what was stored, declines too, ` + "`meridian transaction show`" + ` has it. The metric
` + "`meridian_decisions_total`" + ` counts what the switch answered by it, and is all there is of answers that leave no transaction, such as 94 or
77. Senders that were not let in (wrong MACs, unknown terminals, limits) are in the audit log (` + "`meridian audit list`" + `, kinds ` + "`denied_…`" + `), or added up
there, and in ` + "`meridian_denied_messages_total`" + `. The log has messages that were refused for their form, with the field. The class is that of
` + "`meridian_answers_total`" + `: who had the reason. What profiles of ` + "`unionpay`" + ` answer differently to voids, refunds and
reversals is in [Decision rules](decision-rules.md) and [Dialects](dialects.md#profiles).

| reason | class | ` + "`nac`, `ascii` | `unionpay` | a UnionPay terminal shows |" + `
| --- | --- | --- | --- | --- |
`)
	reasons := switching.Reasons()
	slices.SortStableFunc(reasons, func(a, b switching.Reason) int { return cmp.Compare(codeOf(a), codeOf(b)) })
	for _, reason := range reasons {
		code := unionPayCode(reason)
		shown := ""
		if _, ok := responseCodes[code]; ok {
			shown = shownFor(code)
		}
		fmt.Fprintf(&page, "| `%s` | %s | %s | %s | %s |\n", reason, reason.Class(), codeOf(reason), code, shown)
	}
	reference(t, "response-codes.md", page.String())
}
