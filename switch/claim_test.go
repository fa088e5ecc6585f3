package switching_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"meridian/internal/postgres"
	"meridian/migrations"
	"meridian/switch"
)

// shaky is a host whose lanes lose the database between a commit and its answer.
type shaky struct {
	w      *world
	p      *losing
	sw     *switching.Switch
	counts *prometheus.Registry
	asked  *switching.Request
	answer chan switching.Response
}

// shaky answers soon what is in doubt, and has all patience with a busy machine.
func (w *world) shaky() *shaky { return w.shakyFor(w.soon()) }

// shakyFor answers what is in doubt after a time, and waits for a lock a fifth of it.
func (w *world) shakyFor(answer time.Duration) *shaky {
	w.t.Helper()
	return w.shakyOf(postgres.Options{Role: migrations.ServiceRole, ConnectTimeout: patience, LockTimeout: answer / 5}, answer)
}

func (w *world) shakyOf(lanes postgres.Options, answer time.Duration) *shaky {
	w.t.Helper()
	p, through := lossy(w.t.(*testing.T), w.url)
	pool, err := postgres.Open(context.Background(), through, lanes)
	w.must(err)
	counts := prometheus.NewRegistry()
	sw, err := switching.Start(context.Background(), switching.Options{
		Pool: w.pool, LanePool: pool, Now: w.clock.Now, Refresh: time.Hour, Lanes: 1, Registerer: counts,
		StoreTimeout: patience, AnswerTimeout: answer,
	})
	w.must(err)
	w.t.Cleanup(func() {
		stop, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		_ = sw.Shutdown(stop)
		pool.Close()
	})
	return &shaky{w: w, p: p, sw: sw, counts: counts, answer: make(chan switching.Response, 1)}
}

// ask for what will be committed, and neither heard of nor to be asked for.
func (s *shaky) ask(r *switching.Request) {
	s.asked = copyOf(r)
	s.p.lose.Store(true)
	s.sw.Submit(s.asked, func(r switching.Response) { s.answer <- r })
}

// wantFailure waits for the answer while the database is away.
func (s *shaky) wantFailure() {
	s.w.t.Helper()
	if got := <-s.answer; got.Reason != switching.SystemMalfunction {
		s.w.t.Fatalf("%s in doubt was answered %s, want %s", s.asked.Kind, got.Reason, switching.SystemMalfunction)
	}
}

func (s *shaky) lose(r *switching.Request) {
	s.w.t.Helper()
	s.ask(r)
	s.wantFailure()
}

// back lets the databases come back and waits until the doubts are settled.
func (w *world) back(hosts ...*shaky) {
	w.t.Helper()
	for _, s := range hosts {
		s.p.down.Store(false)
	}
	for _, s := range hosts {
		w.recovered(s.sw)
	}
}

// wantRepeats asks again at every host.
func (w *world) wantRepeats(want switching.Reason, r *switching.Request, hosts ...*shaky) {
	w.t.Helper()
	switches := []*switching.Switch{w.sw}
	for _, s := range hosts {
		switches = append(switches, s.sw)
	}
	for _, sw := range switches {
		got, err := askOf(w.t.Context(), sw, copyOf(r))
		w.must(err)
		if got.Reason != want {
			w.t.Errorf("the repeat of the %s was answered %s, want %s", r.Kind, got.Reason, want)
		}
	}
}

func (w *world) wantSpent(card int, minor int64, what string) {
	w.t.Helper()
	if got := opened - w.available(card); got != minor {
		w.t.Errorf("%s: the card spent %d, want %d", what, got, minor)
	}
}

// doubtful requests, each with a card of its own, and what the card has spent
// when it is undone and when it stands.
var doubtful = []struct {
	kind           string
	make           func(w *world, with func(*switching.Request)) *switching.Request
	undone, stands int64
}{
	{"sale", func(w *world, with func(*switching.Request)) *switching.Request {
		return w.request(switching.KindSale, 10_00, with)
	}, 0, 10_00},
	{"authorization", func(w *world, with func(*switching.Request)) *switching.Request {
		return w.request(switching.KindAuthorization, 10_00, with)
	}, 0, 10_00},
	{"completion", func(w *world, with func(*switching.Request)) *switching.Request {
		a := w.do(switching.Approved, w.request(switching.KindAuthorization, 10_00, with))
		return w.request(switching.KindCompletion, 8_00, of(a))
	}, 10_00, 8_00},
	{"refund", func(w *world, with func(*switching.Request)) *switching.Request {
		s := w.do(switching.Approved, w.request(switching.KindSale, 10_00, with))
		w.clock.advance(24 * time.Hour)
		w.must(w.sw.CatchUp(w.t.Context()))
		return w.request(switching.KindRefund, 4_00, of(s))
	}, 10_00, 6_00},
	{"void", func(w *world, with func(*switching.Request)) *switching.Request {
		s := w.do(switching.Approved, w.request(switching.KindSale, 10_00, with))
		return w.request(switching.KindVoid, 0, of(s))
	}, 10_00, 0},
}

// doubts are the doubtful requests, each lost at a host of its own.
func (w *world) doubts() (asked []*switching.Request, hosts []*shaky) {
	for i, c := range doubtful {
		asked, hosts = append(asked, c.make(w, withCard(i))), append(hosts, w.shaky())
	}
	for i, r := range asked {
		hosts[i].ask(r)
	}
	for _, h := range hosts {
		h.wantFailure()
	}
	return asked, hosts
}

// A request is committed unheard of at one host, which tells its terminal of a
// failure, and repeated at another: the approval that is told there holds.
func TestRepeatAtAnotherHost(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	asked, hosts := w.doubts()
	for _, r := range asked {
		w.do(switching.Approved, copyOf(r))
	}
	w.back(hosts...)
	for i, r := range asked {
		w.wantRepeats(switching.Approved, r, hosts[i])
		w.wantSpent(i, doubtful[i].stands, doubtful[i].kind)
	}
	w.verify()
}

// The first host is back before its terminal repeats: what it had told holds.
func TestRepeatAfterTheHostIsBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	asked, hosts := w.doubts()
	w.back(hosts...)
	for i, r := range asked {
		w.wantRepeats(switching.SystemMalfunction, r, hosts[i])
		w.wantSpent(i, doubtful[i].undone, doubtful[i].kind)
	}
	w.verify()
}

// The commit of the repeat is lost at the second host, too. Both answers were
// failures, whoever is back first; unless a third host told the approval.
func TestClaimInDoubt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	cases := []struct {
		name  string
		told  bool // by a third host
		first int  // to be back
	}{
		{"the first is back first", false, 0},
		{"the second is back first", false, 1},
		{"a third has told it and the first is back first", true, 0},
		{"a third has told it and the second is back first", true, 1},
	}
	var asked []*switching.Request
	var hosts [][2]*shaky
	for i := range cases {
		asked, hosts = append(asked, w.request(switching.KindSale, 10_00, withCard(i))), append(hosts, [2]*shaky{w.shaky(), w.shaky()})
	}
	for n := range 2 {
		for i := range cases {
			hosts[i][n].ask(asked[i])
		}
		for i := range cases {
			hosts[i][n].wantFailure()
		}
	}
	for i, c := range cases {
		if n := w.tellers(asked[i]); n != "2" {
			t.Errorf("%s: %s tellers, want the one that stored it and the repeat", c.name, n)
		}
		want, spent := switching.SystemMalfunction, int64(0)
		if c.told {
			want, spent = switching.Approved, 10_00
			w.do(want, copyOf(asked[i]))
		}
		w.back(hosts[i][c.first])
		w.back(hosts[i][1-c.first])
		w.wantRepeats(want, asked[i], hosts[i][:]...)
		w.wantSpent(i, spent, c.name)
	}
	w.verify()
}

// The first host approved and its answer arrived or not, nobody knows: a repeat
// in doubt at another is no reason to take it back.
func TestClaimInDoubtOfAToldApproval(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	other := w.shaky()
	r := w.request(switching.KindSale, 10_00)
	w.do(switching.Approved, r)
	other.lose(copyOf(r))
	w.back(other)
	w.wantRepeats(switching.Approved, r, other)
	w.wantAvailable(10_00)
	w.verify()
}

// What the terminal goes on with is known to it, whatever it was told first.
func TestDoubtAndWhatCameOfIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	cases := []struct {
		name  string
		goOn  func(r *switching.Request)
		spent int64
	}{
		{"a reversal", func(r *switching.Request) {
			w.do(switching.Approved, w.request(switching.KindReversal, 10_00, stan(r.STAN)))
		}, 0},
		{"a partial reversal", func(r *switching.Request) {
			w.do(switching.Approved, w.request(switching.KindReversal, 10_00, stan(r.STAN), leaving(4_00)))
		}, 4_00},
		{"a void", func(r *switching.Request) {
			w.do(switching.Approved, w.request(switching.KindVoid, 0, ofSTAN(r)))
		}, 0},
		{"a void and its reversal", func(r *switching.Request) {
			void := w.request(switching.KindVoid, 0, ofSTAN(r))
			w.do(switching.Approved, void)
			w.do(switching.Approved, w.request(switching.KindReversal, 0, stan(void.STAN)))
		}, 10_00},
		{"a void that was taken back", func(r *switching.Request) {
			other := w.shaky()
			other.lose(w.request(switching.KindVoid, 0, ofSTAN(r)))
			w.back(other)
		}, 0},
		{"an adjustment", func(r *switching.Request) {
			w.do(switching.Approved, w.request(switching.KindAdjustment, 11_00, ofSTAN(r)))
		}, 11_00},
		{"an upload", func(r *switching.Request) {
			w.do(switching.BatchOutOfBalance, w.settlement(0, net(99, 1)))
			w.do(switching.Approved, w.upload(r))
		}, 10_00},
		{"an upload of several", func(r *switching.Request) {
			w.do(switching.Approved, w.upload(r, func(q *switching.Request) {
				q.TwoStep, q.BatchNo, q.Original = true, 1, switching.Reference{}
				q.Shown = []switching.ShownTransaction{{STAN: r.STAN, AmountMinor: r.AmountMinor, HasAmount: true}}
			}))
		}, 10_00},
	}
	var asked []*switching.Request
	var hosts []*shaky
	for i := range cases {
		asked, hosts = append(asked, w.request(switching.KindSale, 10_00, withCard(i))), append(hosts, w.shaky())
	}
	for i, r := range asked {
		hosts[i].ask(r)
	}
	for i, c := range cases {
		hosts[i].wantFailure()
		c.goOn(asked[i])
	}
	w.back(hosts...)
	for i, c := range cases {
		w.wantSpent(i, c.spent, c.name)
	}
	w.verify()
}

func leaving(minor int64) func(*switching.Request) {
	return func(q *switching.Request) { q.ReplacementMinor, q.HasReplacement = minor, true }
}

func ofSTAN(r *switching.Request) func(*switching.Request) {
	return func(q *switching.Request) { q.Original = switching.Reference{STAN: r.STAN, HasSTAN: true} }
}

// The batches of what is in doubt end before the host is back, and so does what
// is taken for a repeat: it is known by what it is, not by its key.
func TestDoubtOutlivesItsBatch(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.shaky()
	w.do(switching.Approved, w.request(switching.KindSale, 20_00)) // the terminal has a batch
	r := w.request(switching.KindSale, 10_00)
	first.lose(r)
	for range 2 {
		w.clock.advance(20 * time.Minute)
		w.must(w.close(till, 0))
		w.do(switching.Approved, w.request(switching.KindSale, 1_00))
	}
	w.back(first)
	w.verify()
	w.wantAvailable(22_00)
}

// A first answer writes down nobody, nor does the repeat of what cannot be
// taken back; a terminal that repeats for ever is written down a few times.
func TestTellers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	want := func(r *switching.Request, tellers string) {
		t.Helper()
		if got := w.tellers(r); got != tellers {
			t.Errorf("tellers %s, want %s", got, tellers)
		}
	}
	declined := w.request(switching.KindSale, 60_000_00)
	w.do(switching.ExceedsAmountLimit, declined)
	w.do(switching.ExceedsAmountLimit, copyOf(declined))
	want(declined, "none")
	reversed := w.request(switching.KindSale, 10_00)
	w.do(switching.Approved, reversed)
	w.do(switching.Approved, w.request(switching.KindReversal, 10_00, stan(reversed.STAN)))
	w.do(switching.Approved, copyOf(reversed))
	want(reversed, "none")
	sale := w.request(switching.KindSale, 10_00)
	w.do(switching.Approved, sale)
	want(sale, "none")
	w.do(switching.RepeatDiffers, copyOf(sale, func(q *switching.Request) { q.AmountMinor++ }))
	want(sale, "none")
	for n, tellers := range []string{"2", "3", "4", "5", "6", "7", "8", "for good", "for good"} {
		w.do(switching.Approved, copyOf(sale))
		if want(sale, tellers); t.Failed() {
			t.Fatalf("after %d repeats", n+1)
		}
	}
}

// A host that finds its own commit in time answers, and claims nothing against
// itself: neither what it stored nor what it claimed.
func TestRetryClaimsNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.request(switching.KindSale, 10_00)
	for _, want := range []string{"none", "2"} {
		patient := w.shakyFor(40 * time.Second)
		patient.ask(r)
		<-patient.p.lost
		patient.p.down.Store(false)
		if got := <-patient.answer; !got.Approved() {
			t.Fatalf("answered %s", got.Reason)
		}
		if n := w.tellers(r); n != want {
			t.Errorf("tellers %s, want %s", n, want)
		}
	}
	w.verify()
}

// tellers that are written down for a request: how many, none, or "for good".
func (w *world) tellers(r *switching.Request) string {
	w.t.Helper()
	var text string
	w.must(w.pool.QueryRow(w.t.Context(), `
		SELECT CASE WHEN told_by = '{00000000-0000-0000-0000-000000000000}' THEN 'for good' ELSE coalesce(cardinality(told_by)::text, 'none') END
		FROM transactions WHERE stan = $1 AND kind <> 8`, r.STAN).Scan(&text))
	return text
}

// A request and its repeat meet in one unit, and its commit is lost: both were
// told of a failure.
func TestTwinsInDoubt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.shaky()
	// A unit before theirs holds the lane up until both are there, and theirs is
	// held up until the next commit can only be its own.
	holdsUp, holdsBoth := w.hold(`SELECT FROM card_accounts WHERE card_id = 4 FOR UPDATE`), w.hold(`SELECT FROM card_accounts WHERE card_id = 1 FOR UPDATE`)
	ask := func(r *switching.Request) chan switching.Response {
		answer := make(chan switching.Response, 1)
		first.sw.Submit(r, func(r switching.Response) { answer <- r })
		return answer
	}
	sale := ask(w.request(switching.KindSale, 1_00, withCard(3)))
	w.waiting(1, func() bool { return false })
	r := w.request(switching.KindSale, 10_00)
	twins := []chan switching.Response{ask(copyOf(r)), ask(copyOf(r))}
	w.must(holdsUp.Rollback(t.Context()))
	if got := <-sale; !got.Approved() {
		t.Fatalf("the sale before was answered %s", got.Reason)
	}
	w.waiting(1, func() bool { return false })
	first.p.lose.Store(true)
	w.must(holdsBoth.Rollback(t.Context()))
	for _, twin := range twins {
		if got := <-twin; got.Reason != switching.SystemMalfunction {
			t.Fatalf("answered %s", got.Reason)
		}
	}
	w.back(first)
	w.wantRepeats(switching.SystemMalfunction, r, first)
	w.wantAvailable(0)
	w.verify()
}

// An approval that was taken back although it was told is found.
func TestVerifyFindsToldAndAbandoned(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.shaky()
	r := w.request(switching.KindSale, 10_00)
	first.lose(r)
	w.back(first)
	w.verify()
	w.sql(`UPDATE transactions SET told_by = ARRAY[transaction_id] WHERE state = 7`)
	var found []string
	for _, f := range w.findings() {
		found = append(found, f.Check)
	}
	if strings.Join(found, "; ") != "what the host took back was told by nobody" {
		t.Errorf("found %q", found)
	}
}
