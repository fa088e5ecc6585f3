//go:build unix

package sandbox

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// plants are leaks as a host could have them, each of a card of its own, and the
// place where it has to be found.
var plants = []struct {
	name  string
	plant func(s *suspect, c Card)
	where string // a part of it
}{
	{"number in a line of the log", func(s *suspect, c Card) { s.line("pan", c.PAN) }, "the log"},
	{"track in the text of an error", func(s *suspect, c Card) { s.line("error", fmt.Errorf("cannot read %q", c.Track2)) }, "the log"},
	{"packed number as bytes", func(s *suspect, c Card) { s.line("frame", append([]byte{0x70}, packed(s.t, c)...)) }, "the log"},
	{"packed number behind half a byte", func(s *suspect, c Card) { s.line("hex", "0200"+"0"+c.PAN) }, "the log"},
	{"number in hexadecimal", func(s *suspect, c Card) { s.line("dump", strings.ToUpper(hex.EncodeToString([]byte("2"+c.PAN)))) }, "the log"},
	{"number in base64, behind one byte", func(s *suspect, c Card) { s.line("raw", base64.StdEncoding.EncodeToString([]byte("x"+c.PAN))) }, "the log"},
	{"number in base64, behind two bytes", func(s *suspect, c Card) { s.line("raw", base64.URLEncoding.EncodeToString([]byte("xx"+c.PAN))) }, "the log"},
	{"label of a metric", func(s *suspect, c Card) { s.shown["/metrics"] = metricOf(c) }, "page /metrics"},
	{"reason on a page", func(s *suspect, c Card) { s.shown["/readyz?verbose"] = `{"error":"` + c.PAN + `"}` }, "page /readyz?verbose"},
	{"text in a table", func(s *suspect, c Card) { s.row("text_value", "of "+c.PAN) }, "dump of planted as text"},
	{"track in a table", func(s *suspect, c Card) { s.row("text_value", c.Track2) }, "dump of planted as binary"},
	{"bytes in a table", func(s *suspect, c Card) { s.row("bytes_value", packed(s.t, c)) }, "dump of planted as binary"},
	{"bytes of a table as text", func(s *suspect, c Card) { s.row("bytes_value", []byte(c.PAN)) }, "dump of planted as text"},
	{"number in a table", func(s *suspect, c Card) { s.row("number_value", number(s.t, c)) }, "dump of planted as text"},
	{"number in the binary dump of a table", func(s *suspect, c Card) { s.row("number_value", number(s.t, c)) }, "dump of planted as binary"},
	{"number in the files of a table", func(s *suspect, c Card) { s.row("number_value", number(s.t, c)) }, "/base/"},
	{"facts of a decision", func(s *suspect, c Card) { s.row("json_value", map[string]any{"evidence": []string{c.PAN}}) }, "dump of planted as text"},
	{"row that was deleted", func(s *suspect, c Card) {
		s.row("text_value", c.PAN)
		s.execute(`DELETE FROM planted WHERE text_value = $1`, c.PAN)
	}, "/base/"},
	{"transaction that was rolled back", func(s *suspect, c Card) {
		tx, err := s.admin().Begin(s.t.Context())
		s.must(err)
		_, err = tx.Exec(s.t.Context(), `INSERT INTO planted (bytes_value) VALUES ($1)`, packed(s.t, c))
		s.must(err)
		s.must(tx.Rollback(s.t.Context()))
	}, "/pg_wal/"},
	{"message in the write-ahead log alone", func(s *suspect, c Card) {
		s.execute(`SELECT pg_logical_emit_message(true, 'planted', $1::text)`, c.PAN)
	}, "/pg_wal/"},
	{"statement in the server's log", func(s *suspect, c Card) { s.execute(`SELECT 'card ` + c.PAN + `'`) }, "postgres.log"},
	{"parameter in the server's log", func(s *suspect, c Card) { s.execute(`SELECT $1::text`, "card "+c.PAN) }, "postgres.log"},
	{"comment in the catalogue", func(s *suspect, c Card) { s.execute(`COMMENT ON TABLE planted IS '` + c.PAN + `'`) }, "dump of pg_description as text"},
	{"file beside sandbox.json", func(s *suspect, c Card) {
		s.must(os.WriteFile(filepath.Join(filepath.Dir(s.published), "left-over.json"), []byte(c.Track2), 0o600))
	}, "left-over.json"},
	{"another value in sandbox.json", func(s *suspect, c Card) { s.publish(c.PAN) }, ManifestName},
}

// plant leaks where a host could, and wants each found: a search that finds
// nothing proves nothing.
func (s *suspect) plant() {
	s.t.Helper()
	s.shown = map[string]string{}
	s.execute(`CREATE TABLE planted (text_value text, bytes_value bytea, number_value bigint, json_value jsonb)`)
	cards := s.manifest.Cards
	for i, p := range plants {
		p.plant(s, cards[i])
	}
	keys := s.plantKeys()
	s.showPages()
	found := s.search()
	has := func(t *testing.T, where string, secrets ...string) {
		t.Helper()
		for _, f := range found {
			for _, secret := range secrets {
				if f.Secret == secret && strings.Contains(f.Where, where) {
					return
				}
			}
		}
		t.Errorf("not found in %s", where)
	}
	for i, p := range plants {
		s.t.Run(p.name, func(t *testing.T) { has(t, p.where, numberOf(i), trackOf(i)) })
	}
	for name, where := range keys {
		s.t.Run(name, func(t *testing.T) { has(t, where, name) })
	}
	for i := range plants {
		if strings.Contains(fmt.Sprint(found), cards[i].PAN) {
			s.t.Fatalf("%s is told in clear", numberOf(i))
		}
	}
}

// plantKeys leaks keys and PIN blocks, and returns where each has to be found.
func (s *suspect) plantKeys() map[string]string {
	s.t.Helper()
	content := func(i byte) []byte { return []byte{0x8e, i, 0x31, 0, 0x4d, 0x22, 0xf7, 0x60} }
	names := []string{
		"key in a log", "key in a log as an attribute", "PIN block in a table", "key in a table in hexadecimal",
		"key in the write-ahead log", "key on a page",
	}
	for i, name := range names {
		s.secrets.Bytes(name, content(byte(i)))
	}
	s.line("key", fmt.Sprintf("%X", content(0)))
	s.line("key", content(1))
	s.row("bytes_value", content(2))
	s.row("text_value", hex.EncodeToString(content(3)))
	s.execute(`SELECT pg_logical_emit_message(false, 'planted', $1::bytea)`, content(4))
	s.shown[ClockPath] = fmt.Sprintf("%x", content(5))
	return map[string]string{
		names[0]: "the log", names[1]: "the log", names[2]: "dump of planted", names[3]: "dump of planted",
		names[4]: "/pg_wal/", names[5]: "page " + ClockPath,
	}
}

// packed is a number as NAC and UnionPay send it; an odd one is filled with F.
func packed(t *testing.T, c Card) []byte {
	t.Helper()
	digits := c.PAN
	if len(digits)%2 == 1 {
		digits += "F"
	}
	return unhex(t, digits)
}

func number(t *testing.T, c Card) int64 {
	t.Helper()
	n, err := strconv.ParseInt(c.PAN, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// metricOf is what a metric with a card number as a label comes to.
func metricOf(c Card) string {
	registry := prometheus.NewRegistry()
	sales := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "sales_total", Help: "Sales."}, []string{"card"})
	registry.MustRegister(sales)
	sales.WithLabelValues(c.PAN).Inc()
	page := httptest.NewRecorder()
	promhttp.HandlerFor(registry, promhttp.HandlerOpts{}).ServeHTTP(page, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	return page.Body.String()
}

// showPages puts pages in the place of the host's.
func (s *suspect) showPages() {
	s.t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprintln(w, s.shown[r.URL.RequestURI()])
	}))
	s.t.Cleanup(server.Close)
	s.ops = server.URL
}

// publish puts another sandbox.json in the place of the sandbox's, with one value more.
func (s *suspect) publish(value string) {
	s.t.Helper()
	text, err := os.ReadFile(s.published)
	s.must(err)
	var content map[string]any
	s.must(json.Unmarshal(text, &content))
	content["last_card"] = value
	text, err = json.Marshal(content)
	s.must(err)
	s.published = filepath.Join(filepath.Dir(s.published), "another-"+ManifestName)
	s.must(os.WriteFile(s.published, text, 0o600))
}

func (s *suspect) line(key string, value any) {
	slog.New(slog.NewJSONHandler(s.log, nil)).ErrorContext(s.t.Context(), "planted", key, value)
}

func (s *suspect) execute(sql string, args ...any) {
	s.t.Helper()
	_, err := s.admin().Exec(s.t.Context(), sql, args...)
	s.must(err)
}

func (s *suspect) row(column string, value any) {
	s.t.Helper()
	s.execute(`INSERT INTO planted (`+column+`) VALUES ($1)`, value)
}
