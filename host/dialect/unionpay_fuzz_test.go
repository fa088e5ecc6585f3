package dialect_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"meridian/host/wire"
	"meridian/switch"
)

// FuzzUnionPay reads any message, and answers it as any reason: nothing panics,
// what is refused names no value, and the answer packs.
func FuzzUnionPay(f *testing.F) {
	d := unionPay(f)
	messages := dumps(f)
	for _, id := range slices.Sorted(maps.Keys(messages)) {
		payload, err := d.Spec().Pack(messages[id])
		if err != nil {
			f.Fatal(err)
		}
		f.Add(payload, uint8(len(payload)))
	}
	reasons := switching.Reasons()
	f.Fuzz(func(t *testing.T, payload []byte, choice uint8) {
		m, err := d.Spec().Parse(payload)
		if err != nil || !d.Answers(m.MTI()) {
			return
		}
		number := m.Get(2)
		r, refusal := d.Request(m)
		if r == nil && refusal == nil {
			t.Fatal("neither a request nor a refusal")
		}
		if refusal != nil && len(number) > 8 && strings.Contains(refusal.String(), number) {
			t.Fatal("the refusal shows the card number")
		}
		response := outcome(reasons[int(choice)%len(reasons)], became(switching.Kind(choice%23), switching.Rule(choice%33)))
		response.Network, response.Demand = "visa", switching.Demand(choice%6)
		if choice%2 == 0 {
			response.RRN, response.HasBusinessDate = 0, false
		}
		response.Data = payload[:min(len(payload), 900)]
		answer := answerTo(d, m, response)
		if answer == nil {
			t.Fatalf("%s has no answer", m.MTI())
		}
		packed, err := d.Spec().Pack(answer)
		if err != nil {
			t.Fatalf("%s %s: %v", answer.MTI(), answer.Get(39), err)
		}
		if _, err := wire.UnionPay().Parse(packed); err != nil {
			t.Fatal(err)
		}
		for _, field := range []int{26, 35, 36, 52, 55} {
			if answer.Has(field) {
				t.Fatalf("the answer has F%d", field)
			}
		}
	})
}
