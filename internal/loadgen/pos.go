package loadgen

import (
	"bytes"
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
)

// POS is one terminal as UnionPay's centre knows it: its master key, the working
// keys of its session, the number of its batch, its trace numbers and what is in
// its batch. Its methods may be called from any goroutine.
type POS struct {
	TID, MID string

	masterKey []byte

	mu    sync.Mutex
	line  *Line
	keys  Keys
	batch int
	trace int
	book  book
}

// NewPOS is a terminal that has not signed in.
func NewPOS(tid, mid string, masterKey []byte) *POS {
	return &POS{TID: tid, MID: mid, masterKey: masterKey, book: book{}}
}

// Connect connects to a host, and leaves the connection before.
func (p *POS) Connect(ctx context.Context, address string) error {
	line, err := Dial(ctx, UnionPay(), address)
	if err != nil {
		return err
	}
	p.mu.Lock()
	before := p.line
	p.line = line
	p.mu.Unlock()
	if before != nil {
		before.Close()
	}
	return nil
}

// Line is the connection.
func (p *POS) Line() *Line {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.line
}

// Keys of the session; none before a sign-in.
func (p *POS) Keys() Keys {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.keys
}

// SetKeys puts other keys in place of the session's.
func (p *POS) SetKeys(k Keys) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.keys = k
}

// Batch is the number of the current batch; 0 before a sign-in.
func (p *POS) Batch() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.batch
}

// SetBatch puts another number in place of the batch's.
func (p *POS) SetBatch(number int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.batch = number
}

// currency of all amounts: yuan.
const currency = "156"

const maxTrace = 999_999

// next trace number.
func (p *POS) next() string {
	p.trace = p.trace%maxTrace + 1
	return fmt.Sprintf("%06d", p.trace)
}

// Amount is F4.
func Amount(minor int64) map[int]string { return map[int]string{4: fmt.Sprintf("%012d", minor)} }

// Request is a financial message of a transaction with these fields besides; an
// empty value takes one away. How the card was read (F22) follows from them.
func (p *POS) Request(t Transaction, parts ...map[int]string) Message {
	p.mu.Lock()
	defer p.mu.Unlock()
	fields := map[int]string{
		3: t.Processing, 11: p.next(), 25: t.Condition, 41: p.TID, 42: p.MID, 49: currency,
		60: fmt.Sprintf("%s%06d", t.Type, p.batch),
	}
	for _, part := range parts {
		maps.Copy(fields, part)
	}
	if _, given := fields[22]; !given {
		fields[22] = entryMode(fields)
	}
	maps.DeleteFunc(fields, func(_ int, value string) bool { return value == "" })
	return Message{MTI: t.MTI, Fields: fields}
}

// entryMode is F22: how the card was read, and whether a PIN was entered.
func entryMode(fields map[int]string) string {
	mode := "01"
	if fields[35] != "" {
		mode = "02"
	}
	if fields[52] != "" {
		return mode + "1"
	}
	return mode + "2"
}

// PIN are the fields of a PIN that was entered for a card, under the session's
// PIN key: its block, its format (F53: X9.8 with the card number, and how long the
// key is), and how many digits the terminal takes (F26).
func (p *POS) PIN(c Card) (map[int]string, error) {
	key := p.Keys().PIK
	block, err := PINBlock(key, c.PIN, c.PAN)
	if err != nil {
		return nil, err
	}
	format := "2000000000000000"
	if len(key) == 16 {
		format = "2600000000000000"
	}
	return map[int]string{26: "12", 52: string(block), 53: format}, nil
}

// Reversal of a request: the same processing code, amount, trace number, condition
// and F60, the reason in F39, and neither track nor PIN. A card that was swiped is
// told by its number.
func (p *POS) Reversal(of Message, reason string) Message {
	fields := maps.Clone(of.Fields)
	for _, n := range []int{26, 35, 36, 37, 52, 53, 63, 64} {
		delete(fields, n)
	}
	if track := of.Fields[35]; track != "" {
		fields[2], _, _ = strings.Cut(track, "=")
	}
	fields[39] = reason
	return Message{MTI: "0400", Fields: fields}
}

// Original are the fields by which a void, a refund or a completion names what it
// is about: its RRN (F37), its authorization code (F38) where it has one, and its
// batch, trace number and date (F61).
func Original(request, answer Message) map[int]string {
	f60 := request.Fields[60]
	fields := map[int]string{37: answer.Fields[37], 61: f60[2:8] + request.Fields[11] + answer.Fields[13]}
	if code := answer.Fields[38]; code != "" {
		fields[38] = code
	}
	return fields
}

// Management is a message of network management, without a trace number where the
// matrix has none.
func (p *POS) Management(mti, code string, parts ...map[int]string) Message {
	p.mu.Lock()
	defer p.mu.Unlock()
	fields := map[int]string{41: p.TID, 42: p.MID, 60: fmt.Sprintf("00%06d%s", p.batch, code)}
	switch code {
	case Echo, GetParameters, EndParameters, StatusOfParams, GetPublicKey, EndPublicKeys, StatusOfKeys,
		GetApplication, EndApplication, StatusOfApps:
	default:
		fields[11] = p.next()
	}
	for _, part := range parts {
		maps.Copy(fields, part)
	}
	return Message{MTI: mti, Fields: fields}
}

// SignIn asks for working keys (001, 003 or 004), and takes them and the batch's
// number from the answer.
func (p *POS) SignIn(ctx context.Context, code string) (Message, error) {
	answer, err := p.Do(ctx, p.Management("0800", code, map[int]string{63: "01 "}))
	if err != nil || answer.Code() != "00" {
		return answer, err
	}
	keys, err := OpenKeys(p.masterKey, answer.Fields[62])
	if err != nil {
		return answer, err
	}
	var batch int
	if f60 := answer.Fields[60]; len(f60) != 11 {
		return answer, fmt.Errorf("sign in: field 60 has %d digits", len(f60))
	} else if _, err := fmt.Sscanf(f60[2:8], "%06d", &batch); err != nil {
		return answer, fmt.Errorf("sign in: batch number: %w", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if batch != p.batch {
		p.book = book{}
	}
	p.keys, p.batch = keys, batch
	return answer, nil
}

// Body is a message's bytes, with its MAC where its type carries one.
func (p *POS) Body(m Message) ([]byte, error) { return body(p.Keys().MAK, m) }

func body(key []byte, m Message) ([]byte, error) {
	if !sealed(m.MTI) {
		return UnionPay().Body(m)
	}
	return Seal(key, m)
}

// Seal is a message's bytes with its MAC under a key.
func Seal(key []byte, m Message) ([]byte, error) {
	fields := maps.Clone(m.Fields)
	fields[64] = strings.Repeat("\x00", 8)
	body, err := UnionPay().Body(Message{MTI: m.MTI, Fields: fields})
	if err != nil {
		return nil, err
	}
	sum, err := MAC(key, body[:len(body)-8])
	if err != nil {
		return nil, err
	}
	copy(body[len(body)-8:], sum[:])
	return body, nil
}

// Exchange is a message on its way, and the key that its answer's MAC must be under.
type Exchange struct {
	pos     *POS
	request Message
	key     []byte
	call    *Call
}

// Send sends a message and does not wait.
func (p *POS) Send(m Message) (*Exchange, error) {
	key := p.Keys().MAK
	payload, err := body(key, m)
	if err != nil {
		return nil, err
	}
	call, err := p.Line().SendBody(m, payload)
	if err != nil {
		return nil, err
	}
	return &Exchange{p, m, key, call}, nil
}

// Do sends a message and takes its answer.
func (p *POS) Do(ctx context.Context, m Message) (Message, error) {
	x, err := p.Send(m)
	if err != nil {
		return Message{}, err
	}
	return x.Answer(ctx)
}

// Answer waits for the answer and holds it against the request.
func (x *Exchange) Answer(ctx context.Context) (Message, error) {
	answer, err := x.call.Wait(ctx)
	if err != nil {
		return answer, err
	}
	if err := x.check(answer); err != nil {
		return answer, fmt.Errorf("answer %s to %s %s: %w", answer.Code(), x.request.MTI, x.request.Field(60), err)
	}
	x.pos.mu.Lock()
	defer x.pos.mu.Unlock()
	x.pos.book.follow(x.request, answer)
	return answer, nil
}

// check says what is wrong with an answer as such: its head, what it repeats, its MAC.
func (x *Exchange) check(answer Message) error {
	sent := UnionPay().head
	if got := string(answer.Head[:tpduBytes]); got != sent[:1]+sent[3:5]+sent[1:3] {
		return fmt.Errorf("TPDU %X", got)
	}
	header := []byte(sent[tpduBytes:])
	header[demandByte-tpduBytes] |= byte(answer.Demand())
	if got := answer.Head[tpduBytes:]; !bytes.Equal(got, header) {
		return fmt.Errorf("application header %X", got)
	}
	for _, n := range []int{3, 4, 11, 25, 41, 42, 49} {
		if answer.Field(n) != x.request.Field(n) && (n != 25 && n != 49 && n != 4 || answer.Field(n) != "") {
			return fmt.Errorf("field %d is %q, sent %q", n, answer.Field(n), x.request.Field(n))
		}
	}
	if f60 := x.request.Field(60); answer.Field(60) != f60 && x.request.MTI != "0800" {
		return fmt.Errorf("field 60 is %q, sent %q", answer.Field(60), f60)
	}
	return x.checkMAC(answer)
}

// ErrUnsealed: an answer that tells an approval has no MAC, or a wrong one.
var ErrUnsealed = errors.New("its MAC is not right")

func (x *Exchange) checkMAC(answer Message) error {
	mac, present := answer.Fields[64]
	switch {
	case !sealed(answer.MTI) && present:
		return fmt.Errorf("%w: there should be none", ErrUnsealed)
	case !sealed(answer.MTI):
		return nil
	case !present && answer.Code() != "00":
		return nil // a refusal may come from before the host knew whose message it was
	case !present:
		return fmt.Errorf("%w: there is none", ErrUnsealed)
	}
	want, err := MAC(x.key, answer.Raw[:len(answer.Raw)-8])
	if err != nil {
		return err
	}
	if subtle.ConstantTimeCompare(want[:], []byte(mac)) != 1 {
		return ErrUnsealed
	}
	return nil
}

// Close ends the connection. It reports answers that nobody had asked for.
func (p *POS) Close() error {
	line := p.Line()
	if line == nil {
		return nil
	}
	line.Close()
	if strays := line.Strays(); len(strays) > 0 {
		return fmt.Errorf("%d answers that nobody asked for, the first a %s", len(strays), strays[0].MTI)
	}
	return nil
}
