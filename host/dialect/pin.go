package dialect

import (
	"encoding/hex"

	"meridian/host/wire"
	"meridian/switch"
)

// pin reads the PIN block (F52). Its format is the terminal's own, as ISO
// 8583:1987 leaves F53 to the parties and terminals fill it in many ways; F26
// tells how many digits a terminal takes, which the host need not know.
func pin(m *wire.Message, r *switching.Request) *Refusal {
	if m.Has(52) {
		r.PIN = &switching.PINEntry{Block: m.Bytes(52)}
	}
	return nil
}

// maxSerialText bounds the key serial number: 12 bytes of AES DUKPT in hex.
const maxSerialText = 24

// KSN is the key serial number of a message of a terminal whose keys are derived
// (DUKPT): F59 in hexadecimal characters. Nil where there is none.
func (d *iso87) KSN(m *wire.Message) []byte {
	text := m.Get(59)
	if text == "" || len(text) > maxSerialText {
		return nil
	}
	ksn, err := hex.DecodeString(text)
	if err != nil {
		return nil
	}
	return ksn
}
