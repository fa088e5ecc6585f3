//go:build unix

package sandbox

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"meridian/internal/hsm"
	"meridian/internal/leak"
	"meridian/internal/pglocal"
	"meridian/internal/pglocal/pgtest"
	"meridian/internal/vault"
	"meridian/switch"
)

// leakMessages sets how many messages the search for leaks sends; `make leaks`
// sends 10,000.
const leakMessages = "MERIDIAN_TEST_LEAK_MESSAGES"

// defaultLeakMessages is some of every kind in every dialect.
const defaultLeakMessages = 360

// TestNothingLeaks sends everything that terminals send, and looks for card
// numbers, tracks, PIN blocks and keys in everything that is left: the database as
// it is dumped, every file of it with the write-ahead log, the log at its most
// talkative, the metrics and the pages beside them. Then it leaks on purpose, and
// has to find that. What is in memory is not looked at.
func TestNothingLeaks(t *testing.T) {
	messages := defaultLeakMessages
	if text := os.Getenv(leakMessages); text != "" {
		var err error
		if messages, err = strconv.Atoi(text); err != nil {
			t.Fatalf("%s: %v", leakMessages, err)
		}
	}
	s := newSuspect(t)
	s.listSecrets()
	s.loadKeys()
	s.serve()
	s.ceremony()

	newTraffic(t, s).send(messages).enough(t)
	s.play("void", "unionpay")
	if found := s.search(); len(found) > 0 {
		for _, f := range found {
			t.Errorf("leaked: %s", f)
		}
		t.FailNow()
	}
	s.plant()
}

// suspect is a sandbox with everything that it could leak into.
type suspect struct {
	t        *testing.T
	server   *pglocal.Server
	sandbox  *Sandbox
	manifest *Manifest
	module   *hsm.Software
	vault    *vault.Vault
	log      *sharedBuffer
	trap     *trap
	secrets  leak.Secrets
	// ops and published are where the pages and sandbox.json are.
	ops, published string
	// shown are pages of the test's own, by their paths.
	shown map[string]string
}

func newSuspect(t *testing.T) *suspect {
	t.Helper()
	s := &suspect{
		t: t, log: &sharedBuffer{},
		// All of the write-ahead log is kept, with whole pages in it as on a server
		// that must not lose anything; and the server logs every statement with its
		// values, as whoever looks for a fault has it do.
		server: pgtest.Server(t, pgtest.Setting("max_wal_size", "16GB"), pgtest.Setting("wal_keep_size", "16GB"),
			pgtest.Setting("full_page_writes", "on"), pgtest.Setting("log_statement", "all"),
			pgtest.Setting("log_parameter_max_length", "-1"), pgtest.Setting("log_error_verbosity", "verbose")),
	}
	s.trap = &trap{Handler: slog.NewJSONHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug}), value: &atomic.Pointer[string]{}}
	o := options(dataDir(t))
	o.DatabaseURL, o.Logger = s.server.URL(), slog.New(s.trap)
	var err error
	s.sandbox, err = Start(t.Context(), o)
	s.must(err)
	s.manifest, s.published, s.ops = s.sandbox.Manifest(), s.sandbox.ManifestPath(), s.sandbox.Manifest().Addresses.Ops
	s.vault, err = vault.Open(vault.SandboxMasterKey())
	s.must(err)
	s.module = hsm.NewSoftware(s.vault, s.vault.FirstDataKeys())
	return s
}

// serve begins to answer.
func (s *suspect) serve() {
	s.t.Helper()
	s.must(s.sandbox.node.Switch().Refresh(s.t.Context()))
	run(s.t, s.sandbox)
	s.sandbox.tap.Look(patience) // somebody watches all the while
}

// play has the console tell a story.
func (s *suspect) play(story, dialect string) {
	s.t.Helper()
	response, err := http.PostForm(s.manifest.Addresses.Console+"/stories/"+story, url.Values{"dialect": {dialect}, "reason": {"looked at for leaks"}})
	s.must(err)
	s.must(response.Body.Close())
	if response.StatusCode != http.StatusOK {
		s.t.Errorf("the story %s: %s", story, response.Status)
	}
}

func (s *suspect) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// sharedBuffer is a log that is written and read at once.
type sharedBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *sharedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *sharedBuffer) bytes() []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	return bytes.Clone(b.text.Bytes())
}

// trap is a log that once panics, where the pipeline tells that it cannot parse a
// message, with a value that says too much: a fault as it could be anywhere.
type trap struct {
	slog.Handler

	value *atomic.Pointer[string]
}

func (h *trap) Handle(ctx context.Context, r slog.Record) error {
	if r.Message == "message cannot be parsed" {
		if value := h.value.Swap(nil); value != nil {
			panic("cannot read " + *value)
		}
	}
	return h.Handler.Handle(ctx, r)
}

func (h *trap) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &trap{h.Handler.WithAttrs(attrs), h.value}
}

func (h *trap) WithGroup(name string) slog.Handler { return &trap{h.Handler.WithGroup(name), h.value} }

// listSecrets takes what sandbox.json says, every card and every key, and what it
// does not: track keys, and what the vault's master key is derived of.
func (s *suspect) listSecrets() {
	s.t.Helper()
	for i, c := range s.manifest.Cards {
		s.secrets.Digits(numberOf(i), c.PAN)
		if _, tail, found := strings.Cut(c.Track2, "="); found && len(tail) > 15 {
			s.secrets.Digits(trackOf(i), "="+tail)
		}
	}
	for _, m := range s.manifest.Merchants {
		for _, terminal := range m.Terminals {
			for name, text := range map[string]string{"TMK": terminal.TMK, "MAK": terminal.MAK, "PIK": terminal.PIK} {
				s.key(name+" of terminal "+terminal.TID, unhex(s.t, text))
			}
			s.key("TDK of terminal "+terminal.TID, keysOf(terminal.TID).tdk)
		}
	}
	s.secrets.Bytes("chip cryptogram", cryptogram)
}

func numberOf(card int) string { return fmt.Sprintf("number of card %d", card) }
func trackOf(card int) string  { return fmt.Sprintf("rest of the track of card %d", card) }

// key is looked for whole and in halves.
func (s *suspect) key(name string, content []byte) {
	s.secrets.Bytes(name, content)
	if half := len(content) / 2; half >= 8 {
		s.secrets.Bytes("first half of the "+name, content[:half])
		s.secrets.Bytes("second half of the "+name, content[half:])
	}
}

func unhex(t *testing.T, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// loadKeys gives the database a base key, and terminals whose keys are derived of
// it.
func (s *suspect) loadKeys() {
	s.t.Helper()
	ctx, conn := s.t.Context(), connectTo(s.t, s.server.URL())
	s.key("base key", clearBaseKey)
	base, err := s.module.Enter(hsm.UseDUKPTBase, hsm.TDES2, clearBaseKey)
	s.must(err)
	_, err = switching.LoadKey(ctx, conn, s.module, switching.KeyTarget{BaseKey: "tdes"}, base, s.sandbox.clock.Now(), "ann", "a test")
	s.must(err)
	for i, dialect := range []string{listenerNAC, listenerASCII} {
		merchant := s.manifest.Merchants[i]
		_, err := conn.Exec(ctx, `
			INSERT INTO terminals (terminal_id, tid, merchant_id, dialect, mac_algorithm, key_scheme, base_key_id, initial_ksn)
			SELECT $1, $2, merchant_id, $3, 'x919', 'dukpt-tdes', (SELECT base_key_id FROM base_keys WHERE name = 'tdes'), $4
			FROM merchants WHERE mid = $5`, 90_000_000+i, derivedTID(i), dialect, initialKSN(i), merchant.MID)
		s.must(err)
	}
	_, err = conn.Exec(ctx, `UPDATE installation SET directory_version = directory_version + 1`)
	s.must(err)
}

// ceremony has two people bring a key, moves another one in a key block under it,
// and rolls a terminal over to that.
func (s *suspect) ceremony() {
	s.t.Helper()
	ctx, conn, now := s.t.Context(), connectTo(s.t, s.server.URL()), s.sandbox.clock.Now()
	c, err := switching.StartCeremony(ctx, conn, switching.KeyTarget{Transport: "zmk"}, hsm.TDES2, 2, now, "ann", "a test")
	s.must(err)
	formed := make([]byte, 16)
	for i, text := range []string{"40d6c1a7dd1f5c9b02e8f4b5a3917766", "8313b5c22a64ef01d5c09a46e37b9e58"} {
		content := unhex(s.t, text)
		s.key(fmt.Sprintf("component %d", i+1), content)
		for j := range formed {
			formed[j] ^= content[j]
		}
		one := switching.Component{Ceremony: c.ID, Content: vault.NewSecret(content), Who: []string{"ann", "bob"}[i]}
		_, err := switching.EnterComponent(ctx, conn, s.module, s.vault, one, now)
		s.must(err)
	}
	s.key("key of two components", formed)
	zmk, err := switching.TargetKey(ctx, conn, switching.KeyTarget{Transport: "zmk"})
	s.must(err)
	content := unhex(s.t, "23b9d5f80e6c4a7192abcdef10325476")
	s.key("MAK of a key block", content)
	mak, err := s.module.Enter(hsm.UseMAC, hsm.TDES2, content)
	s.must(err)
	block, err := s.module.ExportBlock(ctx, zmk, mak, hsm.Exportable)
	s.must(err)
	key, err := s.module.ImportBlock(ctx, zmk, block, hsm.UseMAC)
	s.must(err)
	_, terminal := s.manifest.find(s.t, "EUR", listenerNAC, "x919")
	_, err = switching.LoadKey(ctx, conn, s.module, switching.KeyTarget{TID: terminal.TID, Use: hsm.UseMAC}, key, now, "ann", "a test")
	s.must(err)
}
