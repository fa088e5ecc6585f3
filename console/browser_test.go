package console

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"meridian/console/certification"
	"meridian/switch"
)

// browserPath finds a Chromium; without one the test is skipped.
func browserPath(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Skip("no Chromium on this machine (scripts/need.sh browser installs it on Debian): the pages are tested without a browser")
	return ""
}

// browser is a headless Chromium with one page, and what went wrong on it.
type browser struct {
	t   *testing.T
	w   *world
	ctx context.Context

	mu       sync.Mutex
	problems []string
}

func newBrowser(t *testing.T, w *world) *browser {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(browserPath(t)), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-dev-shm-usage", true), chromedp.UserDataDir(t.TempDir()))
	allocator, end := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, cancel := chromedp.NewContext(allocator)
	ctx, stop := context.WithTimeout(ctx, 5*time.Minute)
	b := &browser{t: t, w: w, ctx: ctx}
	t.Cleanup(func() {
		_ = chromedp.Cancel(ctx) // waits for the process
		stop()
		cancel()
		end()
	})
	b.must(chromedp.Listen(ctx, func(event any) {
		switch e := event.(type) {
		case *runtime.EventExceptionThrown:
			b.problem("exception: " + e.ExceptionDetails.Text)
		case *log.EventEntryAdded:
			if e.Entry.Level == log.EntryLevelError || e.Entry.Source == log.EntrySourceSecurity {
				b.problem(fmt.Sprintf("%s: %s (%s)", e.Entry.Source, e.Entry.Text, e.Entry.URL))
			}
		}
	}))
	_, err := chromedp.Call(ctx, log.Enable, cdp.Empty{})
	b.must(err)
	return b
}

func (b *browser) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

func (b *browser) problem(text string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.problems = append(b.problems, text)
}

// noProblems fails for what the browser complained about since the last look.
func (b *browser) noProblems(where string) {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, p := range b.problems {
		b.t.Errorf("%s: %s", where, p)
	}
	b.problems = nil
}

func (b *browser) do(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	b.must(chromedp.Do(b.ctx, actions...))
}

func (b *browser) open(path string) {
	b.t.Helper()
	b.do(chromedp.Navigate(b.w.server.URL + path))
}

// eval runs JavaScript on the page and returns its value, promises awaited.
func eval[T any](b *browser, script string) T {
	b.t.Helper()
	value, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](script, chromedp.EvalAwaitPromise))
	b.must(err)
	return value
}

// await waits until an expression is true, on the page that may come meanwhile.
func (b *browser) await(expression string) {
	b.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); ; <-tick.C {
		is, err := chromedp.Run(b.ctx, chromedp.Evaluate[bool]("!!("+expression+")"))
		if err == nil && is {
			return
		}
		if time.Now().After(end) {
			b.t.Fatalf("it does not come: %s (%v)", expression, err)
		}
	}
}

// look is how a page is looked at.
type look struct {
	name   string
	width  int64
	scheme string
	rules  string // of axe
	// some pages by axe, which have every colour and part among them; all of them
	// with MERIDIAN_TEST_BROWSER.
	some []string
}

func (b *browser) look(l look) {
	b.t.Helper()
	b.do(chromedp.EmulateViewport(l.width, 900))
	_, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: l.scheme}},
	})
	b.must(err)
}

// violation is what axe found.
type violation struct {
	ID     string `json:"id"`
	Impact string `json:"impact"`
	Help   string `json:"help"`
	Nodes  []struct {
		HTML    string `json:"html"`
		Summary string `json:"failureSummary"` //nolint:tagliatelle // axe's name
	} `json:"nodes"`
}

// testTerminals is a data directory as a sandbox keeps it.
func testTerminals(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	pan := cardNumber(0).Reveal()
	text := fmt.Sprintf(`{"ready": true, "addresses": {"nac": "127.0.0.1:1"}, "merchants": [{"mid": %q, "name": "River Books", "currency": "CNY",
		"time_zone": "Asia/Shanghai", "terminals": [{"tid": %q, "dialect": "nac", "tpdu": "6000010000", "batch": 1, "mac": "none"}]}],
		"cards": [{"pan": %q, "expiry": "3012", "track2": "%s=30122010000012345", "pin": "1234", "currency": "CNY", "behaviour": "approve"}]}`, shop, till, pan, pan)
	if err := os.WriteFile(filepath.Join(dir, "sandbox.json"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// sampleWorld has something on every page. It returns the pages.
func sampleWorld(t *testing.T) (w *world, l *line, pages []string) {
	t.Helper()
	clock := &testClock{}
	w, l = newTappedWorld(t, func(o *Options) {
		o.MovableClock, o.TestTerminals, o.Documents = clock, testTerminals(t), os.DirFS("../docs")
		o.Stories, o.Scenarios, o.Witness = sampleStories{}, sampleScenarios{}, certification.NewWitness(w.Now)
	})
	clock.w = w
	l.tap.Look(time.Hour)
	t.Cleanup(func() { l.tap.Look(0) })
	sale := w.ask(switching.KindSale, 12_34)
	large := w.ask(switching.KindSale, 4_500_00)
	void := w.ask(switching.KindCancel, 0, of(sale))
	w.ask(switching.KindSale, opened+1)
	w.settle(time.Date(2026, 3, 10, 15, 30, 0, 0, time.UTC))
	w.ask(switching.KindCancel, 0, of(large))
	open := w.ask(switching.KindSale, 7_77)
	l.send("0200", nil)
	w.must(switching.LockTerminal(t.Context(), w.pool, switching.TerminalLock{
		TerminalID: 1, TID: till, Failures: 10, At: w.Now(), Until: w.Now().Add(time.Hour), Detail: "10 wrong MACs in a row",
	}))
	return w, l, []string{
		"/", "/messages", "/messages/1", "/transactions", "/transactions/" + rrnOf(void), "/transactions/" + rrnOf(open), "/batches",
		"/batches/" + till + "/1", "/settlement", "/settlement/" + shop + "/2026-03-10", "/cutover?rrn=" + rrnOf(open), "/ledger",
		"/ledger/accounts/merchant:1:pending", "/reviews", "/exceptions", "/audit", "/merchants", "/merchants/" + shop, "/terminals",
		"/terminals/" + till, "/clock?was=2026-03-09T10:00:00Z", "/builder", "/scenarios",
		"/stories", "/stories/late-cancel-1", "/stories/broken-2", "/certification", "/certification/" + till, "/documentation",
		"/documentation/reference/decision-rules", "/documentation/fields/unionpay", "/nowhere",
	}
}

// Every page in both appearances and at both widths: nothing serious by axe,
// nothing that the browser complains about, and no page wider than its window.
func TestPagesInABrowser(t *testing.T) {
	browserPath(t)
	axe, err := os.ReadFile("testdata/axe/axe.min.js")
	if err != nil {
		t.Fatal(err)
	}
	w, _, pages := sampleWorld(t)
	b := newBrowser(t, w)
	for _, l := range []look{
		{"wide and light", 1280, "light", `{resultTypes: ["violations"]}`, nil},
		// What a page is made of is the same; its colours are not, and neither is what is in sight.
		{"narrow and dark", 390, "dark", `{resultTypes: ["violations"], runOnly: ["color-contrast", "target-size", "scrollable-region-focusable"]}`, []string{
			"/", "/messages/1", "/transactions", "/reviews", "/cutover", "/clock", "/builder",
		}},
	} {
		b.look(l)
		for _, path := range pages {
			where := l.name + ": " + path
			b.open(path)
			if path == "/nowhere" {
				b.mu.Lock()
				b.problems = nil // the browser says itself that there is nothing
				b.mu.Unlock()
			}
			if over := eval[int](b, `document.documentElement.scrollWidth - window.innerWidth`); over > 0 {
				t.Errorf("%s: %d pixels wider than the window", where, over)
			}
			if got := eval[bool](b, `matchMedia("(prefers-color-scheme: dark)").matches`); got != (l.scheme == "dark") {
				t.Fatalf("%s: the scheme is not %s", where, l.scheme)
			}
			if l.some != nil && os.Getenv("MERIDIAN_TEST_BROWSER") == "" && !slices.Contains(l.some, strings.Split(path, "?")[0]) {
				b.noProblems(where)
				continue
			}
			b.do(chromedp.Evaluate[chromedp.Void](string(axe)))
			found := eval[string](b, `axe.run(document, `+l.rules+`).then((r) => JSON.stringify(r.violations))`)
			var violations []violation
			w.must(json.Unmarshal([]byte(found), &violations))
			for _, v := range violations {
				if v.Impact != "serious" && v.Impact != "critical" {
					continue
				}
				for _, n := range v.Nodes {
					t.Errorf("%s: %s (%s): %s\n%s\n%s", where, v.ID, v.Impact, v.Help, n.HTML, n.Summary)
				}
			}
			b.noProblems(where)
		}
	}
}

// What JavaScript adds, and the way through by keyboard.
func TestConsoleInABrowser(t *testing.T) {
	browserPath(t)
	w, l, _ := sampleWorld(t)
	b := newBrowser(t, w)
	b.look(look{name: "wide", width: 1280, scheme: "light"})

	b.do(chromedp.Navigate(w.server.URL+"/"), chromedp.KeyEvent(kb.Tab))
	if got := eval[string](b, `document.activeElement.textContent`); got != "Skip to the page" {
		t.Errorf("Tab leads to %q first", got)
	}
	b.do(chromedp.KeyEvent(kb.Enter))
	b.await(`document.activeElement.id === "main"`)
	b.do(chromedp.KeyEvent("/"))
	b.await(`document.activeElement.id === "find"`)
	// The protocol sends a key's letter apart from the key, so the page cannot hold it back.
	b.do(chromedp.Evaluate[chromedp.Void](`document.getElementById("find").select()`), chromedp.KeyEvent("12.34"+kb.Enter))
	b.await(`document.querySelector(".note-line")?.textContent.includes("an amount")`)
	b.do(chromedp.KeyEvent(kb.Tab))
	if got := eval[string](b, `getComputedStyle(document.activeElement).outlineStyle`); got != "solid" {
		t.Errorf("the focus is shown as %q", got)
	}

	// The overview changes by itself.
	b.do(chromedp.Navigate(w.server.URL + "/"))
	b.do(chromedp.Evaluate[chromedp.Void](`document.querySelector(".figures").remove()`))
	b.await(`document.querySelector("#live .figures") !== null`)

	// A message comes in at the top, and can be held up.
	b.do(chromedp.Navigate(w.server.URL + "/messages"))
	b.await(`document.getElementById("stream-state").textContent === "live"`)
	before := eval[int](b, `document.getElementById("messages").rows.length`)
	l.send("0200", map[int]string{4: "000000004242"})
	b.await(`document.getElementById("messages").rows[0].textContent.includes("42.42")`)
	b.do(chromedp.Click(chromedp.CSS("#stream-pause")))
	b.await(`document.getElementById("stream-state").textContent === "paused"`)
	if after := eval[int](b, `document.getElementById("messages").rows.length`); after != before+1 {
		t.Errorf("%d rows, %d before one came", after, before)
	}

	// A field, its bit and its bytes are marked together.
	b.do(chromedp.Navigate(w.server.URL+"/messages/1"), chromedp.Click(chromedp.CSS(`#request-41 th`)))
	b.await(`document.querySelectorAll("[data-current][data-field='41']").length === 3`)

	// The slider tells the other side of the cutoff.
	open := w.ask(switching.KindSale, 9_99)
	b.do(chromedp.Navigate(w.server.URL+"/cutover?rrn="+rrnOf(open)), chromedp.Focus(chromedp.CSS(".slider input")))
	b.await(`document.querySelector("output").textContent.includes("a void")`)
	b.do(chromedp.KeyEvent(kb.End))
	b.await(`document.querySelector("output").textContent.includes("a refund: the money goes back, by rule R29")`)

	// A decision by keyboard.
	b.do(chromedp.Navigate(w.server.URL+"/reviews"), chromedp.Focus(chromedp.CSS(".decide input")),
		chromedp.KeyEvent("receipt seen"), chromedp.KeyEvent(kb.Tab), chromedp.KeyEvent(kb.Enter))
	b.await(`document.querySelector("[role=status]")?.textContent.includes("was approved")`)

	// A message is built, changed and copied without the page being loaded anew.
	b.do(chromedp.Navigate(w.server.URL + "/builder"))
	b.do(chromedp.Evaluate[chromedp.Void](`window.same = true`), chromedp.Click(chromedp.CSS(`button[value="build"]`)))
	b.await(`document.querySelector("#builder [name=hex]").value.includes("00 00 00 00 12 34")`)
	b.await(`window.same && document.querySelector("#builder-result .bitmap") && document.querySelectorAll("[data-sample]").length === 5`)
	b.do(chromedp.Evaluate[chromedp.Void](`document.querySelector("#builder [name=hex]").value = "zz"`), chromedp.Click(chromedp.CSS(`button[value="mend"]`)))
	b.await(`document.querySelector("#builder-result .warning")?.textContent.includes("Digit 1 is not hexadecimal")`)

	// The boxes of a filter stand in line, however long their labels are.
	b.do(chromedp.Navigate(w.server.URL + "/audit"))
	b.do(chromedp.Evaluate[chromedp.Void](`document.querySelector(".fields label").firstChild.textContent = "A label that is longer than its box and wraps "`))
	if lines := eval[int](b, `new Set([...document.querySelectorAll(".fields input")].map((i) => i.getBoundingClientRect().top)).size`); lines != 1 {
		t.Errorf("boxes begin on %d lines", lines)
	}
	b.do(chromedp.Navigate(w.server.URL + "/builder"))

	// Dark and light by a button, which is kept.
	b.do(chromedp.Click(chromedp.CSS(".appearance button")))
	b.await(`document.documentElement.dataset.appearance === "dark"`)
	b.noProblems("the way through")
	if text := eval[string](b, `document.documentElement.outerHTML`); strings.Contains(text, cardNumber(0).Reveal()) {
		t.Error("a card number is on the page")
	}
}
