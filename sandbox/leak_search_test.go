//go:build unix

package sandbox

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"meridian/internal/leak"
	"meridian/internal/pglocal"
)

// pages are what the host shows people and programs.
var pages = []string{"/metrics", "/readyz", "/readyz?verbose", "/livez", ClockPath}

// public are the names in sandbox.json of what it lists because everybody may know it.
var public = []string{"pan", "track2", "pin", "tmk", "mak", "pik", "operator_password"}

// search looks everywhere.
func (s *suspect) search() (found []leak.Finding) {
	s.t.Helper()
	searcher := s.secrets.Searcher()
	in := func(where string, content []byte) {
		some, err := searcher.Search(where, bytes.NewReader(content))
		s.must(err)
		found = append(found, some...)
	}
	in("the log", s.log.bytes())
	for _, path := range pages {
		in("page "+path, s.page(path))
	}
	for path, page := range s.consolePages() {
		in("console page "+path, page)
	}
	for where, dump := range s.dump() {
		in(where, dump)
	}
	in(ManifestName, s.unpublished())
	database := filepath.Dir(s.server.Dir()) // the server's log is in it, too
	for _, directory := range []string{filepath.Dir(s.published), database} {
		some, n, err := searcher.SearchTree(directory)
		s.must(err)
		found = append(found, slices.DeleteFunc(some, func(f leak.Finding) bool { return f.Where == s.published })...)
		s.t.Logf("searched %d KiB of files for %d forms of secrets", n>>10, s.secrets.Len())
		if directory == database && n < 16<<20 { // a segment of the write-ahead log
			s.t.Errorf("searched no more than %d bytes of the database's files", n)
		}
	}
	return found
}

// consolePages are what the console shows of what was sent, among it the messages
// that are still kept.
func (s *suspect) consolePages() map[string][]byte {
	s.t.Helper()
	paths := []string{
		"/", "/messages", "/transactions", "/batches", "/settlement", "/cutover", "/ledger", "/reviews", "/exceptions", "/audit", "/merchants", "/terminals", "/scenarios",
		"/clock", "/builder", "/stories", "/certification", "/documentation",
	}
	for _, m := range s.manifest.Merchants {
		paths = append(paths, "/merchants/"+m.MID, "/transactions?merchant="+m.MID)
		for _, terminal := range m.Terminals {
			paths = append(paths, "/terminals/"+terminal.TID, "/builder?terminal="+terminal.TID)
			for _, form := range []string{"", "/report/md", "/report/json"} {
				paths = append(paths, "/certification/"+terminal.TID+form)
			}
		}
	}
	told, err := (&stories{sandbox: s.sandbox}).Told(100)
	s.must(err)
	if len(told) == 0 {
		s.t.Error("no story was told")
	}
	for _, story := range told {
		paths = append(paths, "/stories/"+story.ID)
	}
	watched := s.sandbox.tap.Latest(1000, nil)
	if len(watched) < 10 { // 20 are kept of a second, and sending took about one
		s.t.Errorf("%d messages were watched", len(watched))
	}
	for _, p := range watched {
		paths = append(paths, "/messages/"+strconv.FormatUint(p.Number, 10))
		if p.RRN != 0 {
			paths = append(paths, fmt.Sprintf("/transactions/%012d", p.RRN))
		}
	}
	found := map[string][]byte{}
	for _, path := range paths {
		response, err := http.Get(s.manifest.Addresses.Console + path)
		s.must(err)
		text, err := io.ReadAll(response.Body)
		s.must(errors.Join(err, response.Body.Close()))
		if response.StatusCode != http.StatusOK {
			s.t.Errorf("%s: %d", path, response.StatusCode)
		}
		found[path] = text
	}
	return found
}

func (s *suspect) page(path string) []byte {
	s.t.Helper()
	response, err := http.Get(s.ops + path)
	s.must(err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	s.must(err)
	if len(text) == 0 {
		s.t.Errorf("%s is empty", path)
	}
	return text
}

// unpublished is sandbox.json without what it is there to publish.
func (s *suspect) unpublished() []byte {
	s.t.Helper()
	text, err := os.ReadFile(s.published)
	s.must(err)
	var content any
	s.must(json.Unmarshal(text, &content))
	taken := 0
	var without func(v any)
	without = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			for name, value := range v {
				if slices.Contains(public, name) {
					delete(v, name)
					taken++
					continue
				}
				without(value)
			}
		case []any:
			for _, value := range v {
				without(value)
			}
		}
	}
	without(content)
	if taken < 3*len(s.manifest.Cards) {
		s.t.Errorf("took %d values out of %s", taken, ManifestName)
	}
	rest, err := json.Marshal(content)
	s.must(err)
	return rest
}

// admin is a connection that may do everything.
func (s *suspect) admin() *pgx.Conn { return connectTo(s.t, s.server.AdminURL(pglocal.DatabaseName)) }

// dump is every table, as text and as binary, those of the catalogue too: the
// planner's statistics have values of columns. It leaves no page of the database in
// memory alone.
func (s *suspect) dump() map[string][]byte {
	s.t.Helper()
	ctx, conn := s.t.Context(), s.admin()
	for _, statement := range []string{`ANALYZE`, `CHECKPOINT`} {
		_, err := conn.Exec(ctx, statement)
		s.must(err)
	}
	rows, err := conn.Query(ctx, `
		SELECT oid::regclass::text FROM pg_class
		WHERE relkind IN ('r', 'm') AND relnamespace NOT IN ('information_schema'::regnamespace)`)
	s.must(err)
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	s.must(err)
	dumps := map[string][]byte{}
	for _, table := range append(tables, "(SELECT query FROM pg_stat_activity)") {
		for _, format := range []string{"text", "binary"} {
			var b bytes.Buffer
			if _, err := conn.PgConn().CopyTo(ctx, &b, `COPY `+table+` TO STDOUT (FORMAT `+format+`)`); err != nil {
				// Some types of the catalogue have no binary form.
				if format == "text" || !strings.HasPrefix(table, "pg_") && !strings.HasPrefix(table, "(") {
					s.t.Fatalf("dump %s: %v", table, err)
				}
			}
			dumps["dump of "+table+" as "+format] = b.Bytes()
		}
	}
	size := 0
	for _, table := range tables {
		if strings.HasPrefix(table, "transactions_") {
			size += len(dumps["dump of "+table+" as text"])
		}
	}
	if size < 10_000 {
		s.t.Fatalf("dumped %d tables, and %d bytes of transactions", len(tables), size)
	}
	return dumps
}
