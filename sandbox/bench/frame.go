//go:build unix

package bench

import (
	"crypto/cipher"
	"crypto/des" //nolint:gosec // X9.19 is defined with DES
	"crypto/subtle"
	"errors"
	"fmt"
)

// The terminals of a load are written for their speed: a message is a template
// in which the fields that change lie at fixed places, so that the generator
// takes as little as possible of the processors that it shares with the host.

// message is a template of one kind of request in NAC form, with its length and
// TPDU in front and room for its MAC at the end.
type message struct {
	frame []byte
	// Offsets in frame; 0 for a field that the message has not.
	stan, pan, amount, rrn int
	// body is where that begins which the MAC is over.
	body   int
	sealed bool
}

// sealer makes the MAC of a message.
type sealer interface {
	// sum writes the MAC of data, eight bytes.
	sum(data, into []byte)
}

const (
	tpdu       = "\x60\x00\x01\x00\x00"
	macBytes   = 8
	lengthSize = 2
	panDigits  = 19
)

// layout of a template: which fields, in ascending order.
type layout struct {
	mti        string
	processing string
	fields     []int
}

func saleLayout() layout { return layout{"0200", "000000", purchaseFields()} }

func purchaseFields() []int { return []int{2, 3, 4, 11, 14, 22, 24, 25, 41, 42, 49, 64} }

// referring messages name their original by its RRN.
func referringFields() []int { return []int{2, 3, 4, 11, 14, 22, 24, 25, 37, 41, 42, 49, 64} }

// echoLayout is a test of the line: it is answered without the database.
func echoLayout() layout { return layout{"0800", "990000", []int{3, 11, 24, 41, 42}} }

func (l layout) template(t *terminal) *message {
	m := &message{frame: append(make([]byte, lengthSize), tpdu...), body: lengthSize + len(tpdu)}
	m.frame = append(m.frame, bcd(l.mti)...)
	var bitmap [8]byte
	for _, f := range l.fields {
		bitmap[(f-1)/8] |= 0x80 >> ((f - 1) % 8)
	}
	m.frame = append(m.frame, bitmap[:]...)
	for _, f := range l.fields {
		at := len(m.frame)
		switch f {
		case 2:
			m.frame = append(m.frame, panDigits/10<<4|panDigits%10)
			m.pan = at + 1
			m.frame = append(m.frame, make([]byte, (panDigits+1)/2)...)
		case 3:
			m.frame = append(m.frame, bcd(l.processing)...)
		case 4:
			m.amount = at
			m.frame = append(m.frame, make([]byte, 6)...)
		case 11:
			m.stan = at
			m.frame = append(m.frame, make([]byte, 3)...)
		case 14:
			m.frame = append(m.frame, bcd(expiry)...)
		case 22:
			m.frame = append(m.frame, bcd("0012")...)
		case 24:
			m.frame = append(m.frame, bcd("0001")...)
		case 25:
			m.frame = append(m.frame, bcd("00")...)
		case 37:
			m.rrn = at
			m.frame = append(m.frame, "000000000000"...)
		case 41:
			m.frame = append(m.frame, t.tid...)
		case 42:
			m.frame = append(m.frame, t.mid...)
		case 49:
			m.frame = append(m.frame, "156"...)
		case 64:
			m.frame = append(m.frame, make([]byte, macBytes)...)
			m.sealed = true
		default:
			panic(fmt.Sprintf("no template has field %d", f)) // a mistake of this file
		}
	}
	n := len(m.frame) - lengthSize
	m.frame[0], m.frame[1] = byte(n>>8), byte(n)
	return m
}

// fill puts in what changes and seals the message. It returns the template's
// own bytes.
func (m *message) fill(stan int32, pan string, amountMinor int64, rrn []byte, mac sealer) []byte {
	putBCD(m.frame[m.stan:m.stan+3], int64(stan))
	if m.pan != 0 {
		putDigits(m.frame[m.pan:m.pan+(panDigits+1)/2], pan)
	}
	if m.amount != 0 {
		putBCD(m.frame[m.amount:m.amount+6], amountMinor)
	}
	if m.rrn != 0 {
		copy(m.frame[m.rrn:m.rrn+12], rrn)
	}
	if !m.sealed {
		return m.frame
	}
	end := len(m.frame) - macBytes
	mac.sum(m.frame[m.body:end], m.frame[end:])
	return m.frame
}

// bcd packs an even number of digits.
func bcd(digits string) []byte {
	b := make([]byte, len(digits)/2)
	putDigits(b, digits)
	return b
}

// putDigits packs digits from the left; an odd last one is followed by zero.
func putDigits(b []byte, digits string) {
	for i := range b {
		high, low := digits[2*i]-'0', byte(0)
		if 2*i+1 < len(digits) {
			low = digits[2*i+1] - '0'
		}
		b[i] = high<<4 | low
	}
}

// putBCD packs a number, filled with zeros on the left.
func putBCD(b []byte, n int64) {
	for i := len(b) - 1; i >= 0; i-- {
		b[i] = byte(n%10) | byte(n/10%10)<<4
		n /= 100
	}
}

// retailMAC is X9.19, apart from the host's.
type retailMAC struct {
	left, right cipher.Block
	block       [des.BlockSize]byte
}

func newRetailMAC(key []byte) (*retailMAC, error) {
	left, err := des.NewCipher(key[:8]) //nolint:gosec // as above
	if err != nil {
		return nil, fmt.Errorf("left half of a MAC key: %w", err)
	}
	right, err := des.NewCipher(key[8:]) //nolint:gosec // as above
	if err != nil {
		return nil, fmt.Errorf("right half of a MAC key: %w", err)
	}
	return &retailMAC{left: left, right: right}, nil
}

func (r *retailMAC) sum(data, into []byte) {
	r.block = [des.BlockSize]byte{}
	for len(data) > 0 {
		n := min(len(data), des.BlockSize)
		subtle.XORBytes(r.block[:], r.block[:], data[:n])
		r.left.Encrypt(r.block[:], r.block[:])
		data = data[n:]
	}
	r.right.Decrypt(r.block[:], r.block[:])
	r.left.Encrypt(r.block[:], r.block[:])
	copy(into, r.block[:])
}

// reply is what a load looks at in an answer.
type reply struct {
	code [2]byte
	rrn  [12]byte
}

func (r *reply) approved() bool { return r.code == [2]byte{'0', '0'} }

var errReply = errors.New("an answer that this load does not read")

// sizes in bytes of the fields of NAC and UnionPay answers up to F39; 0 is one
// that is not read here.
var sizes = [40]int{3: 3, 4: 6, 7: 5, 11: 3, 12: 3, 13: 2, 14: 2, 15: 2, 22: 2, 24: 2, 25: 1, 37: 12, 38: 6, 39: 2}

// readReply finds F37 and F39 in an answer whose MTI is behind a head of so many
// bytes.
func readReply(b []byte, head int) (r reply, err error) {
	header := head + 2
	if len(b) < header+8 {
		return r, fmt.Errorf("%w: %d bytes", errReply, len(b))
	}
	bitmap, at := b[header:header+8], header+8
	if bitmap[0]&0x80 != 0 {
		at += 8
	}
	for f := 2; f < len(sizes); f++ {
		if bitmap[(f-1)/8]&(0x80>>((f-1)%8)) == 0 {
			continue
		}
		size := sizes[f]
		if f == 2 || f == 32 { // digits behind how many they are
			if at >= len(b) {
				return r, errReply
			}
			size = 1 + (int(b[at]>>4)*10+int(b[at]&15)+1)/2
		}
		if size == 0 || at+size > len(b) {
			return r, fmt.Errorf("%w: field %d", errReply, f)
		}
		switch f {
		case 37:
			copy(r.rrn[:], b[at:])
		case 39:
			copy(r.code[:], b[at:])
		}
		at += size
	}
	return r, nil
}
