package switching_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"meridian/internal/postgres"
	"meridian/migrations"
	"meridian/switch"
)

// Many requests in one unit, one of which was presumed wrongly: each is answered as
// it is, and stored once. So many rows go by COPY, behind the proofs that fail.
func TestManyPresumeInOneUnit(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.patient()
	const many = 30
	sales := func() (list []*switching.Request) {
		for i := range many {
			tid := till
			if i%2 == 1 {
				tid = till2
			}
			list = append(list, w.request(switching.KindSale, 10, withCard(i%3), at(shop, tid)))
		}
		return list
	}
	ask := func(what string, list []*switching.Request, transfers int, except map[int]switching.Reason) {
		t.Helper()
		before := w.transfers()
		answers, trips := s.together(list...)
		if (trips == 1) != (len(except) == 0) {
			t.Errorf("%s: %d round trips", what, trips)
		}
		for i, got := range answers {
			want, named := except[i]
			if !named {
				want = switching.Approved
			}
			if got.Reason != want {
				t.Errorf("%s: sale %d was answered %s, want %s", what, i, got.Reason, want)
			}
		}
		if n := w.transfers() - before; n != transfers+1 { // the one that held the lane up
			t.Errorf("%s: %d transfers, want %d", what, n, transfers+1)
		}
		w.verify()
	}
	wrong := func(what string, list []*switching.Request, transfers int, except map[int]switching.Reason) {
		t.Helper()
		s.wantWrongly(what, func() { ask(what, list, transfers, except) })
	}
	known := func() {
		for _, tid := range []string{till, till2} {
			s.knows(at(shop, tid))
		}
	}
	known()
	s.together(sales()...) // a connection prepares what it stores once
	known()
	ask("all is so", sales(), many, nil)
	s.wantNeverWrong()

	known()
	list := sales()
	w.do(switching.Approved, copyOf(list[20]))
	w.do(switching.Approved, copyOf(list[21], func(r *switching.Request) { r.AmountMinor++ }))
	wrong("keys", list, many-2, map[int]switching.Reason{20: switching.Approved, 21: switching.RepeatDiffers})

	known()
	list = sales()
	w.sql(`UPDATE card_accounts SET status = 3 WHERE card_id = 3`)
	lost := map[int]switching.Reason{}
	for i := 2; i < many; i += 3 {
		lost[i] = switching.LostCard
	}
	wrong("a card", list, many-len(lost), lost)
	w.sql(`UPDATE card_accounts SET status = 1 WHERE card_id = 3`)

	known()
	list = sales()
	list[7].BatchNo = 1
	w.must(w.close(till2, 0))
	wrong("a batch", list, many-1, map[int]switching.Reason{7: switching.NotCurrentBatch})
	if b := w.current(); b.BatchNo != 1 {
		t.Errorf("the other terminal is in batch %d", b.BatchNo)
	}
}

// A request and its repeat, and another one under their key, in a unit that reads nothing.
func TestTwinsPresumeInOneUnit(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.patient()
	s.knows(at(kiosk, booth))
	s.knows()
	r := w.request(switching.KindSale, 10_00)
	w.wantTransfers(2, func() {
		answers, trips := s.together(copyOf(r), copyOf(r), copyOf(r, func(r *switching.Request) { r.AmountMinor++ }))
		if trips != 1 {
			t.Errorf("%d round trips", trips)
		}
		if first, second := answers[0], answers[1]; !first.Approved() || first.Stored {
			t.Errorf("the first: %+v", first)
		} else {
			w.sameAnswer(first, second)
		}
		if answers[2].Reason != switching.RepeatDiffers {
			t.Errorf("the other: %s", answers[2].Reason)
		}
	})
	if n := w.tellers(r); n != "none" {
		t.Errorf("tellers %s", n)
	}
	s.wantNeverWrong()
	w.verify()
}

// A request whose time ran out in a unit that reads nothing is not stored, alone and
// beside one that has time.
func TestTooLateWhereAllIsPresumed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.clock.set(cutoff10)
	s := w.patient()
	for day, beside := range []int{0, 1} {
		s.knows(at(kiosk, booth))
		s.knows()
		late := w.request(switching.KindSale, 10_00)
		late.Received = time.Now().Add(-patience + time.Second)
		// The unit waits for its RRNs, which are counted anew with every day.
		numbers := w.hold(fmt.Sprintf(`INSERT INTO rrn_days (rrn_day, year, next) VALUES (%d, 2026, 0)`, 6070+day))
		w.wantTransfers(1+beside, func() {
			answers := make(chan switching.Response, 2)
			s.heldUp(func() {
				w.clock.set(time.Date(2026, 3, 11+day, 0, 30, 0, 0, time.UTC))
				s.sw.Submit(late, func(r switching.Response) { answers <- r })
				if beside > 0 {
					s.sw.Submit(w.request(switching.KindSale, 20_00), func(r switching.Response) { answers <- r })
				}
			})
			w.waiting(1, func() bool { return len(answers) > 0 })
			<-time.After(time.Until(late.Received.Add(patience)))
			w.must(numbers.Rollback(t.Context()))
			got := map[switching.Reason]int{}
			for range 1 + beside {
				got[(<-answers).Reason]++
			}
			if got[switching.StoreUnavailable] != 1 || got[switching.Approved] != beside {
				t.Errorf("answered %v", got)
			}
		})
		var stored int
		w.must(w.pool.QueryRow(t.Context(), `SELECT count(*) FROM transactions WHERE stan = $1`, late.STAN).Scan(&stored))
		if stored != 0 {
			t.Error("what came too late is stored")
		}
		w.verify()
		w.clock.set(cutoff10.AddDate(0, 0, day+1))
	}
	s.wantNeverWrong()
}

// A decision that panics costs its own request alone.
func TestPanicWhereAllIsPresumed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.patient()
	s.knows(at(kiosk, booth))
	s.knows()
	list := []*switching.Request{
		w.request(switching.KindSale, 10_00), w.request(switching.KindSale, 20_00), w.request(switching.KindSale, 30_00),
	}
	answers := make(chan switching.Response, len(list))
	w.wantTransfers(3, func() {
		s.heldUp(func() {
			for _, r := range list {
				s.sw.Submit(r, func(r switching.Response) { answers <- r })
			}
			list[1].Spoil()
		})
		reasons := map[switching.Reason]int{}
		for range list {
			reasons[(<-answers).Reason]++
		}
		if reasons[switching.Approved] != 2 || reasons[switching.SystemMalfunction] != 1 {
			t.Errorf("answered %v", reasons)
		}
	})
	w.verify()
	if got := series(t, s.counts)["meridian_decision_panics_total"]; got != 2 { // in their unit, and alone
		t.Errorf("%v panics", got)
	}
}

// Where another host is at the same card all the time, hardly a unit is run twice;
// where it goes away, nothing is read before long.
func TestCautionAfterPresumingWrongly(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.patient()
	s.knows()
	const turns = 60
	spent := opened - w.available(0)
	w.wantTransfers(2*turns, func() {
		for range turns {
			for _, sw := range []*switching.Switch{w.sw, s.sw} {
				if got, err := askOf(t.Context(), sw, w.request(switching.KindSale, 2)); err != nil || !got.Approved() {
					t.Fatalf("%s, %v", got.Reason, err)
				}
			}
		}
	})
	w.verify()
	w.wantAvailable(spent + 2*turns*2)
	before, _ := s.wrongly()
	if before < 2 || before > 8 { // 1, 1, 2, 4, 8, 16 and 32 units read after one that presumed
		t.Errorf("%d of %d units presumed wrongly", before, turns)
	}
	if n := s.knows(); n > 66 { // 2^6, and the one that shows it
		t.Errorf("still reads after %d units", n)
	}
	if now, others := s.wrongly(); now-before > 1 || others > 0 {
		t.Errorf("%d units presumed wrongly with nobody else there, and %d of others", now-before, others)
	}
	w.verify()
}

// The commit of what was one round trip is not heard of: the terminal is told of a
// failure and the host takes it back, or it asks again and answers once.
func TestOneRoundTripInDoubt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, kind := range []switching.Kind{switching.KindSale, switching.KindAuthorization} {
		s := w.shaky()
		s.knows()
		spent := opened - w.available(0)
		r := w.request(kind, 10_00)
		s.lose(r)
		w.wantAvailable(spent + 10_00) // it was committed
		w.back(s)
		w.wantRepeats(switching.SystemMalfunction, r, s)
		w.wantAvailable(spent)
		w.verify()

		found := w.patient()
		found.knows()
		spent = opened - w.available(0)
		r = w.request(kind, 10_00)
		w.wantTransfers(1, func() {
			found.ask(r)
			<-found.p.lost
			found.p.down.Store(false)
			if got := <-found.answer; !got.Approved() {
				t.Fatalf("answered %s", got.Reason)
			}
		})
		found.wantNeverWrong() // in doubt, it reads everything
		if n := w.tellers(r); n != "none" {
			t.Errorf("tellers %s", n)
		}
		w.wantAvailable(spent + 10_00)
		w.wantRepeats(switching.Approved, r, found)
		w.wantAvailable(spent + 10_00)
		w.verify()
	}
}

// twoLanes serve the shop and the kiosk.
func (w *world) twoLanes(patience time.Duration) (sw *switching.Switch, met func() float64) {
	w.t.Helper()
	w.sql(`UPDATE merchants SET bucket = 1 WHERE mid = $1`, kiosk)
	lanes, err := postgres.Open(context.Background(), w.url, postgres.Options{Role: migrations.ServiceRole, ConnectTimeout: patience, LockTimeout: patience})
	w.must(err)
	counts := prometheus.NewRegistry()
	sw, err = switching.Start(context.Background(), switching.Options{
		Pool: w.pool, LanePool: lanes, Now: w.clock.Now, Refresh: time.Hour, Lanes: 2, Registerer: counts,
		StoreTimeout: patience, AnswerTimeout: 2 * patience,
	})
	w.must(err)
	w.t.Cleanup(func() {
		w.must(sw.Shutdown(context.Background()))
		lanes.Close()
	})
	return sw, func() float64 {
		got := series(w.t.(*testing.T), counts)
		return got["meridian_unit_presumed_wrongly_total cards"] + got["meridian_unit_card_conflicts_total"]
	}
}

// Lanes of one host know of each other's units: at one card, both all the time, none
// is surprised, and none reads what it knows.
func TestLanesAtOneCard(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	sw, met := w.twoLanes(time.Minute)
	const sales = 100
	spent := opened - w.available(0)
	var lanes sync.WaitGroup
	for _, where := range []func(*switching.Request){at(shop, till), at(kiosk, booth)} {
		var list []*switching.Request
		for range sales {
			list = append(list, w.request(switching.KindSale, 1, where))
		}
		lanes.Go(func() {
			for _, sale := range list {
				if got, err := askOf(t.Context(), sw, sale); err != nil || !got.Approved() {
					t.Errorf("answered %s, %v", got.Reason, err)
					return
				}
			}
		})
	}
	lanes.Wait()
	w.verify()
	w.wantAvailable(spent + 2*sales)
	if n := met(); n > 0 {
		t.Errorf("%v units met a card that had changed", n)
	}
}

// A lane that has waited long enough for another one's unit has Postgres wait, before
// it decides: it does not store everything to find its card changed.
func TestLaneThatWaitedTooLong(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	sw, met := w.twoLanes(15 * time.Second) // 0.5 s of it for the other lane
	for _, where := range []func(*switching.Request){at(shop, till), at(kiosk, booth)} {
		if got, err := askOf(t.Context(), sw, w.request(switching.KindSale, 1, where)); err != nil || !got.Approved() {
			t.Fatalf("answered %s, %v", got.Reason, err)
		}
	}
	held := w.hold(`SELECT FROM card_accounts WHERE card_id = 1 FOR UPDATE`)
	answers := make(chan switching.Response, 2)
	for i, where := range []func(*switching.Request){at(shop, till), at(kiosk, booth)} {
		sw.Submit(w.request(switching.KindSale, 1, where), func(r switching.Response) { answers <- r })
		w.waiting(i+1, func() bool { return len(answers) > 0 })
	}
	w.must(held.Rollback(t.Context()))
	for range cap(answers) {
		if got := <-answers; !got.Approved() {
			t.Errorf("answered %s", got.Reason)
		}
	}
	w.verify()
	if n := met(); n > 0 {
		t.Errorf("%v units met a card that had changed", n)
	}
}
