package loadgen_test

import (
	"bytes"
	"crypto/des"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"slices"
	"strings"
	"testing"

	"meridian/internal/loadgen"
)

func unhex(t *testing.T, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The known answers are published: three independent sources of the MAC, check
// values, and PIN blocks.
func TestUnionPayKnownAnswers(t *testing.T) {
	const sale = "0200302004C020C0981100000000000000010000010102100006376217000000000000017D30121010000000000F" +
		"313030303030303130303030303030303030303030303131353600000000000000002600000000000000000822000001"
	const reversal = "0400302004C002C0801100000000000000010000010102100039383130303030303031" +
		"313030303030303030303030303031313536000822000001"
	for _, c := range []struct{ key, message, want string }{
		{"0123456789ABCDEF", sale, "E82FE9F9"},
		{"0123456789ABCDEFFEDCBA9876543210", sale, "7ABF3432"},
		{"C24A8FB57AA20123", reversal, "6BB7AC70"},
	} {
		got, err := loadgen.MAC(unhex(t, c.key), unhex(t, c.message))
		if err != nil || string(got[:]) != c.want {
			t.Errorf("MAC under %s: %q, %v, want %s", c.key, got, err, c.want)
		}
	}
	for key, want := range map[string]string{
		"0123456789ABCDEF": "D5D44FF7", "0123456789ABCDEFFEDCBA9876543210": "08D7B4FB", "A87FA53383C75BB5": "BFFA61A7",
	} {
		got, err := loadgen.CheckValue(unhex(t, key))
		if err != nil || hex.EncodeToString(got) != strings.ToLower(want) {
			t.Errorf("check value of %s: %X, %v, want %s", key, got, err, want)
		}
	}
	for _, c := range []struct{ pan, pin, want string }{
		{"6217000000000000012", "123456", "7D8C858DF85989BB"},
		{"4000000000000010", "1234", "CE799ACFDF85C560"},
	} {
		got, err := loadgen.PINBlock(unhex(t, "0123456789ABCDEFFEDCBA9876543210"), c.pin, c.pan)
		if err != nil || !strings.EqualFold(hex.EncodeToString(got), c.want) {
			t.Errorf("PIN block: %X, %v, want %s", got, err, c.want)
		}
	}
	for _, wrong := range []struct{ pan, pin string }{{"6217000000000000012", "123"}, {"621", "1234"}, {"6217000000000000012", "12x4"}, {"62170000000000000x2", "1234"}} {
		if _, err := loadgen.PINBlock(unhex(t, "0123456789ABCDEF"), wrong.pin, wrong.pan); err == nil {
			t.Errorf("a PIN block of %+v", wrong)
		}
	}
}

// working is a key on the wire: under the master key, with its check value.
func working(t *testing.T, masterKey, key string, size int) string {
	t.Helper()
	master := unhex(t, masterKey)
	c, err := des.NewTripleDESCipher(append(master, master[:8]...))
	if err != nil {
		t.Fatal(err)
	}
	sent := make([]byte, size)
	for i := 0; i < len(key)/2; i += 8 {
		c.Encrypt(sent[i:], unhex(t, key)[i:])
	}
	value, err := loadgen.CheckValue(unhex(t, key))
	if err != nil {
		t.Fatal(err)
	}
	return string(sent) + string(value)
}

func TestWorkingKeys(t *testing.T) {
	const master, double, single = "0123456789ABCDEFFEDCBA9876543210", "13579BDF02468ACE0123456789ABCDEF", "0123456789ABCDEF"
	keys := func(list ...string) string { return strings.Join(list, "") }
	for _, c := range []struct {
		f62           string
		pik, mak, tdk string
	}{
		{keys(working(t, master, single, 8), working(t, master, double[:16], 8)), single, double[:16], ""},
		{keys(working(t, master, double, 16), working(t, master, single, 16)), double, single, ""}, // as real hosts send it
		{keys(working(t, master, single, 16), working(t, master, double, 16), working(t, master, double, 16)), single, double, double},
	} {
		got, err := loadgen.OpenKeys(unhex(t, master), c.f62)
		if err != nil || !bytes.Equal(got.PIK, unhex(t, c.pik)) || !bytes.Equal(got.MAK, unhex(t, c.mak)) || !bytes.Equal(got.TDK, unhex(t, c.tdk)) {
			t.Errorf("keys of %d bytes: %v, %v", len(c.f62), got, err)
		}
		for i := range c.f62 {
			changed := []byte(c.f62)
			changed[i] ^= 0x10
			if _, err := loadgen.OpenKeys(unhex(t, master), string(changed)); !errors.Is(err, loadgen.ErrCheckValue) {
				t.Fatalf("keys of %d bytes with byte %d changed: %v", len(c.f62), i, err)
			}
		}
	}
	for _, length := range []int{0, 23, 25, 41, 59, 61} {
		if _, err := loadgen.OpenKeys(unhex(t, master), strings.Repeat("x", length)); err == nil || errors.Is(err, loadgen.ErrCheckValue) {
			t.Errorf("keys of %d bytes: %v", length, err)
		}
	}
}

// Eight bytes before the last one, as UnionPay's terminals do it.
func TestSealTrack(t *testing.T) {
	key := unhex(t, "0123456789ABCDEF0123456789ABCDEF")
	c, err := des.NewCipher(key[:8])
	if err != nil {
		t.Fatal(err)
	}
	for track, block := range map[string]string{
		"1234567890123456789=0508201781999168302": "0820178199916830", // an odd number of digits, the last one alone
		"123456789012345678=0508201781999168302":  "5082017819991683",
	} {
		sealed, err := loadgen.SealTrack(key, track)
		if err != nil {
			t.Fatal(err)
		}
		from := strings.Index(track, block)
		got := strings.NewReplacer(":", "A", ";", "B", "<", "C", "=", "D", ">", "E", "?", "F").Replace(sealed[from : from+16])
		plain := unhex(t, got)
		c.Decrypt(plain, plain)
		if len(sealed) != len(track) || sealed[:from] != track[:from] || sealed[from+16:] != track[from+16:] || fmt.Sprintf("%X", plain) != block {
			t.Errorf("%s became %s, its block %X", track, sealed, plain)
		}
	}
	if _, err := loadgen.SealTrack(key, "1234567890123456"); err == nil {
		t.Error("a track without room for a block is enciphered")
	}
}

// bits of a bitmap, without those that follow from the card and its PIN.
func bits(bitmap []byte) []int {
	var list []int
	for n := 1; n <= 64; n++ {
		if bitmap[(n-1)/8]&(0x80>>((n-1)%8)) != 0 && !slices.Contains([]int{2, 14, 26, 35, 52, 53}, n) {
			list = append(list, n)
		}
	}
	return list
}

// The bitmaps are UnionPay's own, of what each request must carry.
func TestMessageMatrix(t *testing.T) {
	pos := loadgen.NewPOS("10000003", "104110000000001", unhex(t, "0123456789ABCDEFFEDCBA9876543210"))
	pos.SetKeys(loadgen.Keys{MAK: unhex(t, "0123456789ABCDEF"), PIK: unhex(t, "0123456789ABCDEF")})
	card := loadgen.Card{PAN: "6217120000000000017", Expiry: "3012", Track2: "6217120000000000017=30122010000", PIN: "1234"}
	ten := loadgen.Amount(1000)
	approved := func(m loadgen.Message, code string) map[int]string {
		answer := map[int]string{13: "0310", 37: "000000000001", 39: "00"}
		if code != "" {
			answer[38] = code
		}
		return loadgen.Original(m, loadgen.Message{Fields: answer})
	}
	pin, err := pos.PIN(card)
	if err != nil {
		t.Fatal(err)
	}
	sale := pos.Request(loadgen.Sale, card.Swiped(), pin, ten)
	void := pos.Request(loadgen.SaleVoid, card.Keyed(), ten, approved(sale, ""))
	preauth := pos.Request(loadgen.Preauth, card.Swiped(), ten)
	noRRN := map[int]string{37: ""}
	preauthVoid := pos.Request(loadgen.PreauthVoid, card.Keyed(), ten, approved(preauth, "123456"), noRRN)
	completion := pos.Request(loadgen.Completion, card.Keyed(), ten, approved(preauth, "123456"), noRRN)
	completionVoid := pos.Request(loadgen.CompletionVoid, card.Keyed(), ten, approved(completion, ""))
	for _, c := range []struct {
		m      loadgen.Message
		bitmap string
	}{
		{pos.Request(loadgen.Inquiry, card.Swiped()), "2020048000C08011"},
		{sale, "3020048000C08011"},
		{pos.Reversal(sale, "98"), "3020048002C08011"},
		{void, "3020048008C08019"},
		{pos.Reversal(void, "98"), "3020048002C08019"},
		{pos.Request(loadgen.Refund, card.Keyed(), ten, approved(sale, ""), map[int]string{63: "CUP"}), "3020048008C0801B"},
		{preauth, "3020048000C08011"},
		{preauthVoid, "3020048004C08019"},
		{pos.Reversal(preauthVoid, "98"), "7020048006C08019"},
		{completion, "3020048004C08019"},
		{pos.Reversal(completion, "98"), "3020048006C08019"},
		{completionVoid, "3020048008C08019"},
		{pos.Reversal(completionVoid, "98"), "3020048002C08019"},
		{pos.Management("0800", loadgen.SignInDouble, map[int]string{63: "01 "}), "0020000000C00012"},
		{pos.Management("0820", loadgen.SignOff), "0020000000C00010"},
		{pos.Settlement(pos.Totals()), "0020000000C18012"},
		{pos.End(loadgen.EndBalanced, 0), "0020000000C10010"},
		{pos.Management("0800", loadgen.GetParameters), "0000000000C00010"},
		{pos.Management("0820", loadgen.Echo), "0000000000C00010"},
		{pos.Management("0820", loadgen.StatusOfKeys, map[int]string{62: "100"}), "0000000000C00014"},
	} {
		body, err := pos.Body(c.m)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := bits(body[2:10]), bits(unhex(t, c.bitmap)); !slices.Equal(got, want) {
			t.Errorf("%s %s has fields %v, want %v", c.m.MTI, c.m.Field(60), got, want)
		}
		back, err := loadgen.UnionPay().Read(body)
		delete(back.Fields, 64)
		if err != nil || back.MTI != c.m.MTI || !maps.Equal(back.Fields, c.m.Fields) {
			t.Errorf("%s %s is read as %v, %v", c.m.MTI, c.m.Field(60), back.Fields, err)
		}
	}
}

// The bytes are written by hand after UnionPay's table.
func TestUnionPayFrame(t *testing.T) {
	m := loadgen.Message{MTI: "0200", Fields: map[int]string{
		2: "6217120000000000017", 11: "000001", 22: "021", 23: "001", 35: "621712=301", 41: "10000003", 60: "22000001000", 63: "CUP",
	}}
	want := unhex(t, "0047"+"6000030000"+"603100000000"+"0200"+"4020060020800012"+
		"19"+"62171200000000000170"+"000001"+"0210"+"0001"+"10"+"621712D301"+hex.EncodeToString([]byte("10000003"))+
		"0011"+"220000010000"+"0003"+hex.EncodeToString([]byte("CUP")))
	want[1] = byte(len(want) - 2)
	got, err := loadgen.UnionPay().Frame(m)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("wrote\n%X (%v), want\n%X", got, err, want)
	}
}

// centre answers what it is sent with what its test makes of it.
func centre(t *testing.T, answer func(request loadgen.Message) (head, body []byte)) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			serve(conn, answer)
		}
	}()
	return listener.Addr().String()
}

func serve(conn net.Conn, answer func(request loadgen.Message) (head, body []byte)) {
	defer conn.Close()
	for {
		var length [2]byte
		if _, err := io.ReadFull(conn, length[:]); err != nil {
			return
		}
		frame := make([]byte, int(length[0])<<8|int(length[1]))
		if _, err := io.ReadFull(conn, frame); err != nil {
			return
		}
		request, err := loadgen.UnionPay().Read(frame[11:])
		if err != nil {
			return
		}
		head, body := answer(request)
		out := append([]byte{0, byte(len(head) + len(body))}, head...)
		if _, err := conn.Write(append(out, body...)); err != nil {
			return
		}
	}
}

const (
	answerHead = "6000000003" + "603100000000"
	testMAK    = "0123456789ABCDEF"
)

// TestPOSDistrusts: what a host may get wrong is seen.
func TestPOSDistrusts(t *testing.T) {
	var head string
	var change func(*loadgen.Message)
	var key []byte
	address := centre(t, func(request loadgen.Message) ([]byte, []byte) {
		m := loadgen.Message{MTI: loadgen.AnswerMTI(request.MTI), Fields: map[int]string{39: "00"}}
		for _, n := range []int{3, 4, 11, 25, 41, 42, 49, 60} {
			if v := request.Field(n); v != "" {
				m.Fields[n] = v
			}
		}
		change(&m)
		body, err := loadgen.Seal(key, m)
		if err != nil {
			panic(err)
		}
		return unhex(t, head), body
	})
	pos := loadgen.NewPOS("10000003", "104110000000001", nil)
	pos.SetKeys(loadgen.Keys{MAK: unhex(t, testMAK)})
	pos.SetBatch(7)
	if err := pos.Connect(t.Context(), address); err != nil {
		t.Fatal(err)
	}
	defer pos.Close()
	card := loadgen.Card{PAN: "6217120000000000017", Expiry: "3012"}
	set := func(n int, v string) func(*loadgen.Message) {
		return func(m *loadgen.Message) { m.Fields[n] = v }
	}
	for _, c := range []struct {
		name, head, key string
		change          func(*loadgen.Message)
		right           bool
	}{
		{"right", answerHead, testMAK, set(39, "00"), true},
		{"asks to sign in", "6000000003" + "603103000000", testMAK, set(39, "00"), true},
		{"TPDU as it came", "6000030000" + "603100000000", testMAK, set(39, "00"), false},
		{"another version", "6000000003" + "602200000000", testMAK, set(39, "00"), false},
		{"another key", answerHead, "FEDCBA9876543210", set(39, "00"), false},
		{"another amount", answerHead, testMAK, set(4, "000000001001"), false},
		{"another terminal", answerHead, testMAK, set(41, "10000004"), false},
		{"another batch", answerHead, testMAK, set(60, "22000008"), false},
	} {
		head, change, key = c.head, c.change, unhex(t, c.key)
		answer, err := pos.Do(t.Context(), pos.Request(loadgen.Sale, card.Keyed(), loadgen.Amount(1000)))
		if (err == nil) != c.right {
			t.Errorf("%s: %v", c.name, err)
		}
		if want := map[bool]int{true: 3}[strings.HasPrefix(c.name, "asks")]; answer.Demand() != want {
			t.Errorf("%s: demand %d, want %d", c.name, answer.Demand(), want)
		}
	}
	if pos.Entries() != 2 {
		t.Errorf("%d transactions in the batch, 2 of them were right", pos.Entries())
	}
}

// TestTotals: debits and credits as UnionPay counts them.
func TestTotals(t *testing.T) {
	decline := false
	address := centre(t, func(request loadgen.Message) ([]byte, []byte) {
		m := loadgen.Message{MTI: loadgen.AnswerMTI(request.MTI), Fields: maps.Clone(request.Fields)}
		m.Fields[13], m.Fields[37], m.Fields[38], m.Fields[39] = "0310", "000000"+request.Field(11), "123456", "00"
		if decline {
			m.Fields[39] = "51"
		}
		delete(m.Fields, 64)
		body, err := loadgen.Seal(unhex(t, testMAK), m)
		if err != nil {
			panic(err)
		}
		return unhex(t, answerHead), body
	})
	pos := loadgen.NewPOS("10000003", "104110000000001", nil)
	pos.SetKeys(loadgen.Keys{MAK: unhex(t, testMAK)})
	pos.SetBatch(7)
	if err := pos.Connect(t.Context(), address); err != nil {
		t.Fatal(err)
	}
	defer pos.Close()
	card := loadgen.Card{PAN: "6217120000000000017", Expiry: "3012", Track2: "6217120000000000017=30122010000"}
	do := func(m loadgen.Message) (loadgen.Message, loadgen.Message) {
		t.Helper()
		answer, err := pos.Do(t.Context(), m)
		if err != nil {
			t.Fatal(err)
		}
		return m, answer
	}
	sale := func(minor int64) (loadgen.Message, loadgen.Message) {
		return do(pos.Request(loadgen.Sale, card.Swiped(), loadgen.Amount(minor)))
	}
	m, answer := sale(1000)
	do(pos.Request(loadgen.SaleVoid, card.Keyed(), loadgen.Amount(1000), loadgen.Original(m, answer)))
	m, answer = sale(2000)
	do(pos.Request(loadgen.Tip, card.Keyed(), loadgen.Amount(2200), loadgen.Original(m, answer)))
	m, _ = sale(4000)
	do(pos.Reversal(m, "98"))
	decline = true
	sale(8000)
	decline = false
	do(pos.Request(loadgen.Refund, card.Keyed(), loadgen.Amount(500), loadgen.Original(m, answer)))
	m, answer = do(pos.Request(loadgen.Preauth, card.Keyed(), loadgen.Amount(9000)))
	do(pos.Request(loadgen.CompletionAdvice, card.Keyed(), loadgen.Amount(9100), loadgen.Original(m, answer)))
	do(pos.Request(loadgen.OfflineSale, card.Keyed(), loadgen.Amount(1)))
	do(pos.Request(loadgen.Inquiry, card.Swiped(), map[int]string{4: ""}))

	debits, credits := fmt.Sprintf("%012d%03d", 1000+2200+9100+1, 4), fmt.Sprintf("%012d%03d", 1000+500, 2)
	if got, want := pos.Totals(), debits+credits+"0"+strings.Repeat("0", 31); got != want {
		t.Errorf("totals %s, want %s", got, want)
	}
	uploads := pos.Uploads()
	if len(uploads) != 1 || uploads[0].Field(48)[:2] != "06" || len(uploads[0].Field(48)) != 2+6*40 ||
		uploads[0].Field(48)[2:42] != "00"+"000001"+"06217120000000000017"+"000000001000" {
		t.Errorf("uploads %v", uploads)
	}
	pos.NextBatch()
	if pos.Batch() != 8 || pos.Entries() != 0 {
		t.Errorf("batch %d with %d transactions", pos.Batch(), pos.Entries())
	}
}
