package wire_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"meridian/host/wire"
)

// docs/reference/fields.md has the field tables that messages are parsed by; with
// MERIDIAN_TEST_UPDATE it is written: make docs.
func TestReferenceFields(t *testing.T) {
	var page strings.Builder
	page.WriteString(`# Fields

The tables that messages are parsed by, one for each dialect, written from the program itself (` + "`make docs`" + `). A field that is not
here is refused (30). How fields travel and what is in them is in [Dialects](dialects.md); a listener's ` + "`spec_file`" + ` replaces
its table.
`)
	for _, spec := range []*wire.Spec{wire.NAC(), wire.ASCII87(), wire.UnionPay()} {
		fmt.Fprintf(&page, "\n## %s\n\n| field | name | holds | length | at most |\n| --- | --- | --- | --- | --- |\n", spec.Name())
		count := 0
		const last = 128
		for number := 0; number <= last; number++ {
			info := spec.Describe(number)
			if info.Kind == wire.KindUndefined {
				continue
			}
			count++
			name := fmt.Sprintf("F%d", number)
			if number == 0 {
				name = "MTI"
			}
			fmt.Fprintf(&page, "| %s | %s | %s | %s | %d |\n", name, info.Name, info.Kind, info.Length, info.MaxLength)
		}
		if count < 20 {
			t.Errorf("%s has only %d fields", spec.Name(), count)
		}
	}
	page.WriteString("\n`n` digits, `z` digits and a separator, `ans` characters, `x+n` C, D or 0 and digits, `b` bytes; what a length counts is the same.\n")
	path := filepath.Join("..", "..", "docs", "reference", "fields.md")
	if os.Getenv("MERIDIAN_TEST_UPDATE") != "" {
		if err := os.WriteFile(path, []byte(page.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != page.String() {
		t.Errorf("docs/reference/fields.md is stale: make docs writes it anew (%v)", err)
	}
}
