//go:build unix

package sandbox

import (
	"crypto/cipher"
	"crypto/des"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"meridian/internal/loadgen"
)

// traffic is everything that terminals of all dialects send, right and wrong.
type traffic struct {
	t      *testing.T
	s      *suspect
	random *rand.Rand
	tills  []*till
	points []*loadgen.POS
	counts counts
	// malformations that were sent, by dialect.
	malformations map[string]int
}

// counts are what was sent, by what it was to show, and its answers.
type counts map[string]int

// enough wants some of everything: a search is worth what was there to be found.
func (c counts) enough(t *testing.T) {
	t.Helper()
	for _, kind := range []string{
		"nac", "ascii", "unionpay", "derived keys", "answered 00", "swiped", "keyed", "PIN", "approved with a PIN", "wrong PIN", "wrong MAC",
		"nac cut short", "ascii cut short", "nac too long", "ascii too long", "nac changed", "ascii changed",
		"nac untrusted frame", "ascii untrusted frame", "nac stranger", "ascii stranger", "nac free text", "ascii free text",
		"approved with derived keys", "panic", "locked", "reversal", "void", "refund", "authorization", "completion", "settlement", "upload",
		"unionpay PIN", "unionpay wrong MAC", "unionpay cut short", "unionpay settlement", "unionpay upload", "unionpay sign-in",
		"unionpay enciphered track", "unionpay approved with a PIN",
	} {
		if c[kind] == 0 {
			t.Errorf("nothing was sent that is %s", kind)
		}
	}
	t.Logf("sent %v", c)
}

func newTraffic(t *testing.T, s *suspect) *traffic {
	t.Helper()
	tr := &traffic{t: t, s: s, random: rand.New(rand.NewPCG(1, 2)), counts: counts{}, malformations: map[string]int{}}
	for _, m := range s.manifest.Merchants {
		for _, terminal := range m.Terminals {
			if terminal.Dialect != listenerUnionPay {
				tr.tills = append(tr.tills, tr.newTill(m, terminal, nil))
			} else if m.Currency == "CNY" { // the test's UnionPay terminal deals in nothing else
				tr.points = append(tr.points, tr.newPoint(m, terminal))
			}
		}
	}
	for i, dialect := range []string{listenerNAC, listenerASCII} {
		terminal := Terminal{TID: derivedTID(i), Dialect: dialect, MAC: "x919"}
		tr.tills = append(tr.tills, tr.newTill(s.manifest.Merchants[i], terminal, &serials{t: t, initial: initialKSN(i)}))
	}
	return tr
}

// send sends about so many messages: a third of them UnionPay's, one terminal
// after the other. At the end it settles, and locks a terminal.
func (tr *traffic) send(messages int) counts {
	tr.t.Helper()
	till, point := 0, 0
	for tr.sent() < messages {
		if (till+point)%3 == 2 {
			tr.point(tr.points[point%len(tr.points)], point/len(tr.points))
			point++
			continue
		}
		at := till % len(tr.tills)
		tr.till(tr.tills[at], at+till/len(tr.tills)) // one sells while another one voids
		till++
	}
	for _, p := range tr.points {
		tr.settlePoint(p)
		tr.s.must(p.Close())
	}
	for _, x := range tr.tills {
		tr.settleTill(x)
	}
	tr.lock(tr.tills[1])
	return tr.counts
}

func (tr *traffic) sent() int {
	return tr.counts[listenerNAC] + tr.counts[listenerASCII] + tr.counts[listenerUnionPay]
}

// count what was sent in a dialect, and what it was.
func (tr *traffic) count(dialect string, kinds ...string) {
	tr.counts[dialect]++
	for _, kind := range kinds {
		tr.counts[kind]++
	}
}

// card of a currency that approves, another one each time.
func (tr *traffic) card(currency string) Card {
	var list []Card
	for _, c := range tr.s.manifest.Cards {
		if c.Currency == currency && c.Behaviour == behaviourApprove {
			list = append(list, c)
		}
	}
	return list[tr.random.IntN(len(list))]
}

// spoilt is a card whose wrong PINs hurt nobody else.
func (tr *traffic) spoilt(currency string) Card {
	return tr.s.manifest.card(tr.t, currency, behaviourHigh)
}

// amount of a sale, another one each time.
func (tr *traffic) amount() int64 { return int64(100 + tr.random.IntN(5000)) }

// cryptogram of every chip.
var cryptogram = []byte{0x11, 0x9A, 0x33, 0x4C, 0x55, 0xE6, 0x77, 0x88}

// chip is what an EMV card says (F55), with its number (5A) and its track (57) in
// it, as some terminals send them.
func chip(t *testing.T, c Card) []byte {
	t.Helper()
	tlv := func(tag, digits string) []byte {
		if len(digits)%2 == 1 {
			digits += "F"
		}
		return unhex(t, fmt.Sprintf("%s%02X%s", tag, len(digits)/2, strings.ReplaceAll(digits, "=", "D")))
	}
	return slices.Concat(tlv("9F26", hex.EncodeToString(cryptogram)), tlv("5A", c.PAN), tlv("57", c.Track2), tlv("9F36", "0042"), tlv("5F34", "01"))
}

// pinBlock is ISO 9564 format 0 under a key; the clear and the enciphered block
// are secrets from then on.
func (tr *traffic) pinBlock(key []byte, pin, pan string) []byte {
	tr.t.Helper()
	clearBlock := unhex(tr.t, fmt.Sprintf("0%d%s%s", len(pin), pin, strings.Repeat("F", 14-len(pin))))
	for i, b := range unhex(tr.t, "0000"+pan[len(pan)-13:len(pan)-1]) {
		clearBlock[i] ^= b
	}
	block := make([]byte, len(clearBlock))
	tr.cipherOf(key).Encrypt(block, clearBlock)
	tr.s.secrets.Bytes("clear PIN block", clearBlock)
	tr.s.secrets.Bytes("enciphered PIN block", block)
	return block
}

func (tr *traffic) cipherOf(key []byte) cipher.Block {
	tr.t.Helper()
	if len(key) == 8 {
		key = slices.Concat(key, key)
	}
	c, err := des.NewTripleDESCipher(slices.Concat(key, key[:8]))
	tr.s.must(err)
	return c
}

// wrongKey is nobody's.
var wrongKey = slices.Repeat([]byte{0x13, 0x57}, 8)

// sentAt is F7: when a message leaves.
func sentAt() string { return time.Now().UTC().Format("0102150405") }
