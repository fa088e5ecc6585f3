package dialect_test

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"meridian/host/dialect"
	"meridian/host/wire"
	"meridian/switch"
)

// maxCostBytes bounds what one message may allocate on its way from bytes to a
// request and back to an answer's bytes.
const maxCostBytes = 64 << 10

// TestCostOfAnyInput takes every published message and every input that fuzzing has
// kept through every dialect, whichever it is of.
func TestCostOfAnyInput(t *testing.T) {
	payloads := append(published(t), kept(t)...)
	for _, size := range []int{10, 500, wire.DefaultMaxFrameBytes} {
		payloads = append(payloads, []byte(strings.Repeat("\xFF", size)), []byte(strings.Repeat("0", size)), make([]byte, size))
	}
	for _, d := range append(both(t), unionPay(t)) {
		for _, payload := range payloads {
			if cost := costOf(d, payload); cost > maxCostBytes {
				t.Errorf("%s: %d bytes allocated for a payload of %d, want at most %d", d.Name(), cost, len(payload), maxCostBytes)
			}
		}
	}
}

func costOf(d dialect.Dialect, payload []byte) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	m, err := d.Spec().Parse(payload)
	if err != nil {
		m = d.Spec().Readable(payload)
	}
	if m != nil && d.Answers(m.MTI()) {
		reason := switching.FormatError
		if _, refusal := d.Request(m); refusal == nil {
			reason = switching.Approved
		}
		if answer := answerTo(d, m, &switching.Response{Reason: reason}); answer != nil {
			_, _ = d.Spec().Pack(answer)
		}
	}
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// published are the messages of the wire package's tests, without their framing.
func published(t *testing.T) (payloads [][]byte) {
	t.Helper()
	for _, name := range []string{"messages.jsonl", "unionpay.jsonl"} {
		text, err := os.ReadFile(filepath.Join("..", "wire", "testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			var v struct {
				Hex   string `json:"hex"`
				Frame struct {
					Length int    `json:"len_prefix"`
					TPDU   string `json:"tpdu"`
					Header string `json:"app_header"`
				} `json:"frame"`
			}
			if err := json.Unmarshal([]byte(line), &v); err != nil {
				t.Fatal(err)
			}
			payload, err := hex.DecodeString(v.Hex)
			if err != nil {
				t.Fatal(err)
			}
			if v.Frame.Length != 0 {
				payload = payload[2:]
			}
			payloads = append(payloads, payload[len(v.Frame.TPDU+v.Frame.Header)/2:])
		}
	}
	if len(payloads) < 100 {
		t.Fatalf("only %d published messages", len(payloads))
	}
	return payloads
}

// kept are the inputs in the wire package's fuzz corpora: a version, then a Go
// literal a line.
func kept(t *testing.T) (payloads [][]byte) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", "wire", "testdata", "fuzz", "*", "*"))
	if err != nil || len(files) < 30 {
		t.Fatalf("%d files: %v", len(files), err)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		literal := strings.SplitN(string(content), "\n", 3)[1]
		input, err := strconv.Unquote(strings.TrimSuffix(strings.TrimPrefix(literal, "[]byte("), ")"))
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		payloads = append(payloads, []byte(input))
	}
	return payloads
}
