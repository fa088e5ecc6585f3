package dialect_test

import (
	"crypto/subtle"
	"encoding/hex"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"meridian/host/dialect"
	"meridian/internal/hsm/cipherkey"
	"meridian/internal/hsm/mac"
	"meridian/switch"
)

// documented is the page that says what requests have to have.
const documented = "../../docs/reference/dialects.md"

// requestRow is a row of its table: name, type, what F3 begins with, fields.
var requestRow = regexp.MustCompile(`(?m)^\| ([a-z, ]+) \| (0[0-9]{3}) / ([0-9a-z', ]+) \| ([^|]+) \|`)

func documentedRequests(t *testing.T) [][]string {
	t.Helper()
	text, err := os.ReadFile(documented)
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(text), "\n## nac and ascii\n")
	section, _, found := strings.Cut(after, "\n## unionpay\n")
	rows := requestRow.FindAllStringSubmatch(section, -1)
	if !found || len(rows) != 10 {
		t.Fatalf("%s has %d rows of requests", documented, len(rows))
	}
	return rows
}

// need is a field that a request has to have; either it or another, or 37 for a
// reference to an original, which only the decision misses.
type need struct {
	field, either int
	reference     bool
}

func needs(t *testing.T, text string) (list []need) {
	t.Helper()
	for token := range strings.SplitSeq(text, ", ") {
		if token == "reference" {
			list = append(list, need{field: 37, reference: true})
			continue
		}
		first, other, _ := strings.Cut(token, " or ")
		field, err := strconv.Atoi(first)
		if err != nil {
			t.Fatalf("%q is no field", token)
		}
		either, _ := strconv.Atoi(other)
		list = append(list, need{field: field, either: either})
	}
	return list
}

// TestDocumentedRequests: what the page asks for is taken, and each of its fields is
// missed.
func TestDocumentedRequests(t *testing.T) {
	for _, row := range documentedRequests(t) {
		name, mti, list := row[1], row[2], needs(t, row[4])
		for function := range strings.SplitSeq(row[3], ", ") {
			if _, err := strconv.Atoi(function); err != nil {
				function = "00" // the original's
			}
			values := fields{
				2: testPAN, 3: function + "0000", 4: "000000001234", 11: "000007", 35: testTrack2, 37: "606900000042", 41: "10000001",
				42: "104110000000001", 70: map[string]string{"99": "301", "92": "001"}[function],
			}
			whole := fields{}
			for _, n := range list {
				whole[n.field] = values[n.field]
			}
			for _, d := range []dialect.Dialect{newDialect(t, "nac"), newDialect(t, "ascii")} {
				documentedRequest(t, d, mti, name+" "+function, whole, values, list)
			}
		}
	}
}

func documentedRequest(t *testing.T, d dialect.Dialect, mti, name string, whole, values fields, list []need) {
	t.Helper()
	taken := func(f fields) {
		t.Helper()
		if _, refusal := d.Request(received(t, d, mti, f)); refusal != nil {
			t.Errorf("%s: %s is refused: %v", d.Name(), name, refusal)
		}
	}
	taken(whole)
	for _, n := range list {
		if n.reference {
			continue
		}
		less := whole.but(fields{n.field: ""})
		_, refusal := d.Request(received(t, d, mti, less))
		if refusal == nil || refusal.Field != n.field && refusal.Field != n.either {
			t.Errorf("%s: %s without F%d: %v", d.Name(), name, n.field, refusal)
		}
		if n.either != 0 {
			taken(less.but(fields{n.either: values[n.either]}))
		}
	}
}

// TestDocumentedFrame: the bytes that the page shows are a cancel.
func TestDocumentedFrame(t *testing.T) {
	text, err := os.ReadFile(documented)
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(text), "```text\n0048 ")
	block, _, found := strings.Cut(after, "\n```")
	var frame strings.Builder
	frame.WriteString("0048")
	for line := range strings.SplitSeq(block, "\n") {
		digits, _, _ := strings.Cut(line, "     ")
		frame.WriteString(strings.ReplaceAll(digits, " ", ""))
	}
	b, err := hex.DecodeString(frame.String())
	if err != nil || !found || len(b) != 2+0x48 {
		t.Fatalf("%d bytes of %s: %v", len(b), frame.String(), err)
	}
	d := newDialect(t, "nac")
	m, err := d.Spec().Parse(b[2+5:])
	if err != nil {
		t.Fatal(err)
	}
	r, refusal := d.Request(m)
	if refusal != nil || r.Kind != switching.KindCancel || r.AmountMinor != 1500 || r.TID != "10000001" || r.Original.RRN != 632600000002 {
		t.Errorf("%+v, %v", r, refusal)
	}
}

// TestDocumentedMAC: what the page computes step by step is what terminals are held to.
func TestDocumentedMAC(t *testing.T) {
	text, err := os.ReadFile(documented)
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(text), "```text\nmessage ")
	block, _, found := strings.Cut(after, "\n```")
	example, keys, two := strings.Cut(block, "\n\n")
	if !found || !two {
		t.Fatal("the page has no example of a MAC")
	}
	unhex := func(text string) []byte {
		t.Helper()
		b, err := hex.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	hexadecimal, rest, _ := strings.Cut(example, "\nXOR")
	message, lines := unhex(strings.Join(strings.Fields(hexadecimal), "")), strings.Fields(rest)
	if len(lines) != 5 {
		t.Fatalf("the example has %q", lines)
	}
	// lines: the XOR; "characters", in hexadecimal, and as they read in two halves.
	folded := make([]byte, 8)
	for i, b := range message {
		folded[i%8] ^= b
	}
	characters := strings.ToUpper(hex.EncodeToString(folded))
	if lines[0] != characters || string(unhex(lines[2])) != characters || lines[3]+lines[4] != characters {
		t.Errorf("the example has %q, want %s", lines, characters)
	}
	for one := range strings.SplitSeq(keys, "\n\n") {
		f := strings.Fields(one) // MAC key K, first E1, second E2, F64 hex text
		if len(f) != 10 {
			t.Fatalf("a key has %q", f)
		}
		cipher, err := cipherkey.OfDES(len(unhex(f[2]))).Block(unhex(f[2]))
		if err != nil {
			t.Fatal(err)
		}
		state := make([]byte, 8)
		cipher.Encrypt(state, []byte(characters[:8]))
		if first := hex.EncodeToString(state); !strings.EqualFold(first, f[4]) {
			t.Errorf("first is %s, not %s", first, f[4])
		}
		subtle.XORBytes(state, state, []byte(characters[8:]))
		cipher.Encrypt(state, state)
		if second := hex.EncodeToString(state); !strings.EqualFold(second, f[6]) {
			t.Errorf("second is %s, not %s", second, f[6])
		}
		algorithm, err := mac.New(mac.UnionPayECB, unhex(f[2]))
		if err != nil {
			t.Fatal(err)
		}
		sum, err := algorithm.Sum(message)
		if err != nil || string(sum[:]) != f[9] || string(unhex(f[8])) != f[9] || f[6][:8] != f[9] {
			t.Errorf("F64 is %s (%v), not %s, %s", sum, err, f[8], f[9])
		}
	}
}
