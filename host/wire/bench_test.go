package wire

import (
	"strings"
	"testing"

	"github.com/moov-io/iso8583"
)

// saleMessage is a chip sale of 26 fields.
func saleMessage() *Message {
	m := NewMessage("0200")
	for number, value := range map[int]string{
		2: "4761739001010119", 3: "000000", 4: "000000001000", 7: "0611191024", 11: "000001", 12: "101820", 13: "1128",
		14: "3012", 18: "5411", 22: "051", 23: "001", 24: "010", 25: "00", 32: "10411", 35: "4761739001010119=30122011234500000",
		37: "000000000061", 41: "10000001", 42: "104110000000001", 43: "SHOP                  SHANGHAI        CN",
		49: "156", 53: "2600000000000000", 60: "000001", 62: "000001",
	} {
		m.Set(number, value)
	}
	m.SetBytes(52, []byte{0xCE, 0x79, 0x9A, 0xCF, 0xDF, 0x85, 0xC5, 0x60})
	m.SetBytes(55, []byte(strings.Repeat("\x9F\x26\x08\x01\x02\x03\x04\x05\x06\x07\x08", 12)))
	m.SetBytes(64, []byte{0xA1, 0xC7, 0x2E, 0x74, 0xEA, 0x3F, 0xA9, 0xB6})
	return m
}

// saleIn is the sale with the fields that a dialect has.
func saleIn(spec *Spec) *Message {
	m := saleMessage()
	for _, number := range m.Fields() {
		if info := spec.Describe(number); info.Kind == KindUndefined || len(m.View(number)) > info.MaxLength {
			m.Unset(number)
		}
	}
	return m
}

func BenchmarkParse(b *testing.B) {
	for _, spec := range builtin() {
		payload, err := spec.Pack(saleIn(spec))
		if err != nil {
			b.Fatal(err)
		}
		b.Run(spec.Name(), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := spec.Parse(payload); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(spec.Name()+"/reused", func(b *testing.B) {
			m := &Message{}
			b.ReportAllocs()
			for b.Loop() {
				if err := spec.ParseInto(m, payload); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(spec.Name()+"/moov", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := iso8583.NewMessage(spec.Moov()).Unpack(payload); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkPack(b *testing.B) {
	buf := make([]byte, 0, DefaultMaxFrameBytes)
	for _, spec := range builtin() {
		m := saleIn(spec)
		b.Run(spec.Name(), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := spec.AppendPack(buf, m); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkMAC(b *testing.B) {
	alg := testAlgorithm(b)
	payload, err := NAC().AppendPackWithMAC(nil, saleMessage(), alg)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := NAC().VerifyMAC(payload, alg); err != nil {
			b.Fatal(err)
		}
	}
}
