package dialect_test

import (
	"strings"
	"testing"

	"meridian/host/dialect"
	"meridian/host/wire"
	"meridian/switch"
)

// refused asserts that a message is refused, and that the refusal tells no value.
func refused(t *testing.T, d dialect.Dialect, mti string, f fields, reason switching.Reason, field int) {
	t.Helper()
	m := received(t, d, mti, f)
	got, refusal := d.Request(m)
	if refusal == nil {
		t.Fatalf("%s became %+v, want a refusal of field %d", mti, got, field)
	}
	if refusal.Reason != reason || refusal.Field != field || refusal.Problem == "" {
		t.Fatalf("%s refused with %s, field %d: %s; want %s, field %d", mti, refusal.Reason, refusal.Field, refusal.Problem, reason, field)
	}
	tellsNoValue(t, m, refusal)
}

func tellsNoValue(t testing.TB, m *wire.Message, refusal *dialect.Refusal) {
	t.Helper()
	text := refusal.String()
	for _, field := range m.Fields() {
		for _, value := range []string{m.Get(field), string(m.Bytes(field))} {
			// Shorter ones stand in texts by chance ("12 digits").
			if value = strings.TrimSpace(value); len(value) >= 4 && strings.Contains(text, value) {
				t.Fatalf("the refusal tells field %d: %s", field, text)
			}
		}
	}
}

func TestMissingFields(t *testing.T) {
	for _, d := range both(t) {
		t.Run(d.Name(), func(t *testing.T) {
			for _, test := range []struct {
				mti    string
				fields fields
				needed []int
			}{
				{"0100", withCard, []int{2, 3, 4, 11, 41, 42}},
				{"0200", withCard, []int{2, 3, 4, 11, 41, 42}},
				{"0200", purchase.but(fields{35: testTrack2}), []int{3, 4, 11, 41, 42}},
				{"0200", withCard.but(fields{3: "310000"}), []int{2, 3, 11, 41, 42}},
				{"0200", purchase.but(fields{3: "020000", 37: "606900000042"}), []int{3, 11, 41, 42}},
				{"0200", purchase.but(fields{3: "290000"}), []int{3, 11, 41, 42}},
				{"0220", withCard, []int{2, 3, 4, 11, 41, 42}},
				{"0220", purchase.but(fields{37: "606900000042"}), []int{3, 4, 11, 41, 42}},
				{"0400", purchase, []int{3, 11, 41, 42}},
				{"0420", purchase, []int{3, 11, 41, 42}},
				{"0800", fields{3: "920000", 41: "10000001"}, []int{41}},
				{"0800", fields{70: "001", 41: "10000001"}, []int{41, 70}},
				{"0800", fields{70: "301"}, []int{70}},
			} {
				if _, refusal := d.Request(received(t, d, test.mti, test.fields)); refusal != nil {
					t.Fatalf("%s is refused with all its fields: %v", test.mti, refusal)
				}
				for _, field := range test.needed {
					refused(t, d, test.mti, test.fields.but(fields{field: ""}), switching.FormatError, field)
				}
			}
			// Filled with spaces is not there.
			refused(t, d, "0200", withCard.but(fields{41: "        "}), switching.FormatError, 41)
			refused(t, d, "0200", withCard.but(fields{42: "               "}), switching.FormatError, 42)
			// A missing field is named before one that is wrong in what comes after it.
			refused(t, d, "0200", withCard.but(fields{11: "", 2: "1"}), switching.FormatError, 11)
		})
	}
}

func TestUnsupported(t *testing.T) {
	for _, d := range both(t) {
		t.Run(d.Name(), func(t *testing.T) {
			for _, test := range []struct {
				mti, processing string
				field           int
			}{
				{"0100", "020000", 3},
				{"0100", "200000", 3},
				{"0100", "300000", 3},
				{"0200", "010000", 3}, // cash
				{"0200", "400000", 3}, // transfer
				{"0200", "220000", 3},
				{"0220", "020000", 3}, // an adjustment must not pass for a void
				{"0220", "090000", 3},
				{"0220", "200000", 3},
				{"0220", "290000", 3},
				{"0220", "310000", 3},
				{"0120", "000000", 0},
				{"0300", "000000", 0},
				{"0600", "000000", 0},
				{"0700", "000000", 0},
			} {
				for _, mti := range []string{test.mti, test.mti[:3] + "1"} {
					refused(t, d, mti, withCard.but(fields{3: test.processing}), switching.FunctionNotSupported, test.field)
				}
			}
			refused(t, d, "0600", fields{11: "000001"}, switching.FunctionNotSupported, 0)
			refused(t, d, "0800", fields{70: "201", 41: "10000001"}, switching.FunctionNotSupported, 70)
			refused(t, d, "0800", fields{3: "910000", 41: "10000001"}, switching.FunctionNotSupported, 3)
		})
	}
}

// TestMessageTypes goes through every type there is: requests and advices of the
// 1987 version are answered, with the first transmission's origin.
func TestMessageTypes(t *testing.T) {
	for _, d := range both(t) {
		t.Run(d.Name(), func(t *testing.T) {
			answered := 0
			for n := range 10_000 {
				mti := string([]byte{'0' + byte(n/1000), '0' + byte(n/100%10), '0' + byte(n/10%10), '0' + byte(n%10)})
				is1987 := mti[0] == '0' && mti[1] >= '1' && mti[1] <= '8'
				isRequest := (mti[2] == '0' || mti[2] == '2') && mti[3] <= '5'
				m := received(t, d, mti, withCard)
				answer := answerTo(d, m, &switching.Response{Reason: switching.Approved})
				if got, want := answer != nil, is1987 && isRequest; got != want || d.Answers(mti) != want {
					t.Fatalf("%s: answered %t, Answers says %t, want %t", mti, got, d.Answers(mti), want)
				}
				if answer == nil {
					if _, refusal := d.Request(m); refusal == nil {
						t.Fatalf("%s is not answered, and was taken for a request", mti)
					}
					continue
				}
				answered++
				want := []byte{mti[0], mti[1], mti[2] + 1, mti[3] - mti[3]%2}
				if answer.MTI() != string(want) {
					t.Fatalf("%s answered with %s, want %s", mti, answer.MTI(), want)
				}
			}
			if answered != 8*2*6 {
				t.Errorf("%d types are answered", answered)
			}
			for _, mti := range []string{"", "020", "02000", "0A00", "020A"} {
				if d.Answers(mti) {
					t.Errorf("%q is answered", mti)
				}
			}
		})
	}
}

func TestAuthenticated(t *testing.T) {
	for _, d := range both(t) {
		t.Run(d.Name(), func(t *testing.T) {
			for mti, want := range map[string]bool{
				"0100": true, "0110": true, "0200": true, "0201": true, "0210": true, "0220": true, "0230": true,
				"0400": true, "0410": true, "0421": true, "0430": true,
				"0800": false, "0810": false, "0300": false, "0500": false, "": false, "02": false,
			} {
				if got := d.Authenticated(mti); got != want {
					t.Errorf("%s: authenticated %t", mti, got)
				}
			}
		})
	}
}

// TestSpecOfOthers: a spec from a file may allow what ours does not. Nothing in
// it leads to more than a refusal.
func TestSpecOfOthers(t *testing.T) {
	d := newDialect(t, "nac")
	base := wire.NewMessage("0400")
	for field, value := range purchase {
		base.Set(field, value)
	}
	for field, values := range map[int][]string{
		3:  {"0"},
		4:  {"-1", "+1", " 1", "1.5", "99999999999999999999"},
		11: {"-00001", "1000000", "A"},
		90: {"1", "020", "0200000", "0200-00042", "0200ABCDEF"},
		95: {"1", "00000000001"},
	} {
		for _, value := range values {
			m := wire.NewMessage("0400")
			for _, f := range base.Fields() {
				m.Set(f, base.Get(f))
			}
			m.Set(field, value)
			_, refusal := d.Request(m)
			if refusal == nil || refusal.Field != field || refusal.Reason != switching.FormatError {
				t.Errorf("field %d: %v", field, refusal)
				continue
			}
			tellsNoValue(t, m, refusal)
		}
	}
}
