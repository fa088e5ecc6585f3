package host

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"meridian/internal/money"
	"meridian/ledger"
	"meridian/switch"
)

// FuzzPipeline sends any bytes through the pipeline, in front of a switch that
// answers anything: there is at most one answer, it parses in the spec, it is the
// answer to that type, and it carries a MAC where the terminal has one.
func FuzzPipeline(f *testing.F) {
	seed := newPipelineRig(f)
	for listener, tid := range map[string]string{"nac": sealedTID, "ascii": asciiTID} {
		for _, mti := range []string{"0100", "0200", "0220", "0400", "0800", "0210", "0500"} {
			f.Add(listener == "nac", seed.pack(listener, sale(mti, tid, nil), seed.mac), uint8(1))
			f.Add(listener == "nac", seed.pack(listener, sale(mti, openTID, map[int]string{3: "290000", 37: "606900000042"}), nil), uint8(22))
		}
	}
	for _, payload := range vectorPayloads(f, "messages.jsonl") {
		f.Add(true, payload, uint8(1))
		f.Add(false, payload, uint8(16))
	}
	f.Fuzz(func(t *testing.T, nac bool, payload []byte, choice uint8) {
		listener := map[bool]string{true: "nac", false: "ascii"}[nac]
		r := newPipelineRig(t)
		r.sw.respond = func(q *switching.Request) switching.Response { return anyResponse(q, choice) }
		sent := payload
		payload = bytes.Clone(sent)
		answers := r.handle(listener, payload)
		if len(answers) != 1 {
			t.Fatalf("%d answers", len(answers))
		}
		if len(bytes.Trim(payload, "\x00")) > 0 {
			t.Fatal("the payload was not wiped")
		}
		answer := answers[0].Payload
		if answer == nil {
			return
		}
		parsed, err := r.spec(listener).Parse(answer)
		if err != nil {
			t.Fatalf("the answer does not parse: %v", err)
		}
		asked := r.spec(listener).Readable(sent)
		if parsed.MTI()[:2] != asked.MTI()[:2] || parsed.MTI()[2] != asked.MTI()[2]+1 || parsed.Get(39) == "" {
			t.Fatalf("%s answered %s %s", asked.MTI(), parsed.MTI(), parsed.Get(39))
		}
		terminal := r.sw.Terminal(strings.TrimRight(asked.Get(41), " "))
		if terminal != nil && terminal.Dialect == listener && terminal.MACAlgorithm == "x919" && parsed.Get(39) != "96" &&
			strings.ContainsRune("124", rune(asked.MTI()[1])) {
			if err := r.spec(listener).VerifyMAC(answer, r.mac); err != nil {
				t.Fatalf("answer %s %s: %v", parsed.MTI(), parsed.Get(39), err)
			}
		}
	})
}

// anyResponse is one of all that a switch may say.
func anyResponse(q *switching.Request, choice uint8) switching.Response {
	reasons := switching.Reasons()
	r := switching.Response{Reason: reasons[int(choice)%len(reasons)], Became: q.Kind, Currency: money.CNY}
	if choice%3 != 0 {
		r.RRN, r.Echo, r.AuthCode = 606900000042, q.Echo, "012345"
		r.BusinessDate, r.HasBusinessDate = ledger.MakeDate(2026, 3, 10), true
	}
	if q.Kind.Cancels() {
		r.Became, r.Rule = switching.KindVoid, switching.Rule(choice%32+1)
	}
	if q.Kind == switching.KindBalance {
		r.BalanceMinor, r.HasBalance = -int64(choice)<<40, true
	}
	r.Stored = choice%2 == 1
	return r
}

// vectorPayloads are a file's published messages, without their framing where they
// have one.
func vectorPayloads(tb testing.TB, file string) [][]byte {
	tb.Helper()
	text, err := os.ReadFile("wire/testdata/" + file)
	if err != nil {
		tb.Fatal(err)
	}
	var payloads [][]byte
	for line := range bytes.Lines(text) {
		var v struct {
			Hex   string `json:"hex"`
			Frame struct {
				Length int    `json:"len_prefix"`
				TPDU   string `json:"tpdu"`
				Header string `json:"app_header"`
			} `json:"frame"`
		}
		if err := json.Unmarshal(line, &v); err != nil {
			tb.Fatal(err)
		}
		payload, err := hex.DecodeString(v.Hex)
		if err != nil {
			tb.Fatal(err)
		}
		if v.Frame.Length != 0 {
			payload = payload[2:]
		}
		payloads = append(payloads, payload[len(v.Frame.TPDU+v.Frame.Header)/2:])
	}
	if len(payloads) == 0 {
		tb.Fatal("no vectors")
	}
	return payloads
}
