package console

import (
	"strings"
	"testing"
	"testing/fstest"
)

func TestMarkdown(t *testing.T) {
	got := string(markdown(strings.Join([]string{
		"# A *title* & more", "", "Some `code <x>` and **bold `in` it**,", "with [a link](other.md#part) and [none](../x.go).", "",
		"- one", "  goes on", "- two", "  - inner", "- three", "", "1. first", "2. second", "",
		"| a | b `x|y` |", "| --- | ---: |", `| c \| d | <script>alert(1)</script> |`, "", "```sh", "a < b | c", "```", "<https://host.example/>",
	}, "\n"), documentLinks("")))
	for _, want := range []string{
		`<h1 id="a-title-more">A <em>title</em> &amp; more</h1>`, `<code>code &lt;x&gt;</code> and <strong>bold <code>in</code> it</strong>, with`,
		`<a href="/documentation/other#part">a link</a> and none.`, "<ul>\n<li>one goes on</li>\n<li>two<ul>\n<li>inner</li>\n</ul>\n</li>\n<li>three</li>\n</ul>",
		"<ol>\n<li>first</li>\n<li>second</li>\n</ol>", `<th scope="col" class="text">b <code>x|y</code></th>`,
		`<td class="text">c | d</td><td class="text">&lt;script&gt;alert(1)&lt;/script&gt;</td>`, "<code>a &lt; b | c\n</code></pre>", `<code>https://host.example/</code>`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %s in\n%s", want, got)
		}
	}
}

// Whatever a document holds, it ends, and brings no markup of its own.
func FuzzMarkdown(f *testing.F) {
	f.Add("# a\n- b\n  - c\n\n| d |\n```\n<e>")
	f.Add("- a\n\n    - b\n 1. c\n|")
	f.Add("[<img src=x>](javascript:alert(1))")
	f.Fuzz(func(t *testing.T, text string) {
		got := string(markdown(text, documentLinks("")))
		for _, bad := range []string{"<script", "<img", "javascript:alert(1)\"", "<iframe"} {
			if strings.Contains(strings.ToLower(got), bad) {
				t.Errorf("%q became %q", text, got)
			}
		}
	})
}

func TestDocumentation(t *testing.T) {
	w := newWorld(t, func(o *Options) {
		o.Documents = fstest.MapFS{
			"README.md":   {Data: []byte("# Documentation\n")},
			"tutorial.md": {Data: []byte("# A first void\n\nThen read [batches](reference/batches.md#a-day).\n")},
			"reference/batches.md": {Data: []byte("# Batches of terminals\n\nSee [void or refund](../explanation/void-or-refund.md), [keys](keys.md), " +
				"[all](../README.md) and [the code](../../switch/batch.go), [or this](../../README.md).\n")},
		}
	})
	list := w.get("/documentation").want(t, 200, "To begin with A first void", "Reference Batches of terminals", "nac", "unionpay")
	if strings.Contains(list.body, "/documentation/README") {
		t.Error("the list lists itself")
	}
	if begin := w.get("/documentation/tutorial").want(t, 200); !strings.Contains(begin.body, `<a href="/documentation/reference/batches#a-day">`) {
		t.Errorf("links:\n%s", begin.body)
	}
	page := w.get("/documentation/reference/batches").want(t, 200, "See void or refund, keys, all and the code, or this.")
	for _, want := range []string{`<a href="/documentation/explanation/void-or-refund">`, `<a href="/documentation/reference/keys">`, `<a href="/documentation">all`} {
		if !strings.Contains(page.body, want) {
			t.Errorf("no %s in\n%s", want, page.body)
		}
	}
	if strings.Contains(page.body, "batch.go") || strings.Contains(page.body, "or this</a>") {
		t.Errorf("it leads out of the documents:\n%s", page.body)
	}
	for _, path := range []string{"/documentation/nothing", "/documentation/..%2fgo.mod", "/documentation/README", "/documentation/reference", "/documentation/reference/nothing", "/documentation/fields/nothing"} {
		w.get(path).want(t, 404)
	}
	w.get("/documentation/fields/nac").want(t, 200, "MTI Message Type Indicator", "F2 Primary account number n LLVAR 19 digits", "F64 Message authentication code b fixed 8 bytes")
	w.get("/documentation/fields/ascii").want(t, 200, "F55 ICC data")
	w.get("/documentation/fields/unionpay").want(t, 200, "F60")
}
