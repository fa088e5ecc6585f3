package terminal

import (
	"fmt"

	"github.com/moov-io/iso8583"

	"meridian/host/wire"
)

const (
	primaryMAC   = 64
	secondaryMAC = 128
	macBytes     = 8
)

// packed is a request ready to leave: moov's message and the bytes it became.
type packed struct {
	message *iso8583.Message
	payload []byte
	sealed  bool // it carries a MAC
}

// pack makes a draft into bytes. Network messages and settlements carry no MAC.
func (t *Terminal) pack(d *draft, st *state) (*packed, error) {
	m, err := d.message(t.spec)
	if err != nil {
		return nil, err
	}
	if !d.operation.unsealed() {
		if d.seal, err = t.sealing(st); err != nil {
			return nil, err
		}
	}
	payload, err := seal(m, d.highestField(), t.spec, d.seal)
	if err != nil {
		return nil, t.unpackable(d)
	}
	if d.wrongMAC {
		if d.seal == nil {
			return nil, errorf(KindUsage, "--wrong-mac: a %s of terminal %s carries no MAC", d.operation, t.tid)
		}
		spoil(payload)
	}
	return &packed{message: m, payload: payload, sealed: d.seal != nil}, nil
}

// message turns a draft into moov's message.
func (d *draft) message(spec *wire.Spec) (*iso8583.Message, error) {
	m := iso8583.NewMessage(spec.Moov())
	m.MTI(d.mti)
	for field, value := range d.fields {
		if err := m.Field(field, value); err != nil {
			// moov's error may quote the value.
			return nil, errorf(KindFailure, "build %s: field %d does not take its value", d.mti, field)
		}
	}
	return m, nil
}

// unpackable says which field a message cannot be packed for. moov's own error may
// quote the value, so wire is asked, whose errors never do.
func (t *Terminal) unpackable(d *draft) error {
	m := wire.NewMessage(d.mti)
	for field, value := range d.fields {
		if t.spec.Describe(field).Kind == wire.KindBinary {
			m.SetBytes(field, []byte(value))
		} else {
			m.Set(field, value)
		}
	}
	if _, err := t.spec.Pack(m); err != nil {
		return errorf(KindUsage, "%w", err)
	}
	return errorf(KindFailure, "moov's iso8583 cannot pack the %s", d.mti)
}

// seal packs a message. With a MAC algorithm it adds the MAC as its last field, F64
// or, with a field above 64, F128: packed with zeros first, the MAC computed over
// everything before it, and written over them.
func seal(m *iso8583.Message, highest int, spec *wire.Spec, mac wire.MACAlgorithm) ([]byte, error) {
	if mac == nil {
		return m.Pack() //nolint:wrapcheck // never shown: it may quote a value, see unpackable
	}
	target := primaryMAC
	if highest > primaryMAC {
		target = secondaryMAC
	}
	if err := m.BinaryField(target, make([]byte, macBytes)); err != nil {
		return nil, fmt.Errorf("build MAC field: %w", err)
	}
	packed, err := m.Pack()
	if err != nil {
		return nil, err //nolint:wrapcheck // as above
	}
	size := macBytes
	if spec.Name() == dialectASCII {
		size = 2 * macBytes // hex
	}
	at := len(packed) - size
	sum, err := mac.Sum(packed[:at])
	if err != nil {
		return nil, fmt.Errorf("compute MAC: %w", err)
	}
	if size == macBytes {
		copy(packed[at:], sum[:])
	} else {
		copy(packed[at:], fmt.Sprintf("%X", sum[:]))
	}
	return packed, nil
}

// spoil changes the last digit of the MAC, which is the last of a message. One bit
// is enough, and leaves a hexadecimal digit one: 0 and 1 change places, as do A
// and C and so on.
func spoil(payload []byte) {
	last := &payload[len(payload)-1]
	switch {
	case *last >= 'A' && *last <= 'F':
		*last = 'A' + ('F' - *last)
	default:
		*last ^= 1
	}
}

func (d *draft) highestField() int {
	highest := 0
	for field := range d.fields {
		highest = max(highest, field)
	}
	return highest
}
