package dialect

import (
	"encoding/hex"
	"strings"

	"meridian/host/wire"
	"meridian/switch"
)

// Tags of F55 that say what an issuer's script came to. Everything else of it may
// tell the card and is not kept.
const (
	tagScriptResults = 0xDF31 // of each script: result, script number, identifier
	tagTVR           = 0x95   // terminal verification results
	tagATC           = 0x9F36 // the card's transaction counter
)

// maxScriptBytes bounds what is kept of one tag: six scripts of 21 bytes.
const maxScriptBytes = 128

// scriptResult reads F55 of a 0620.
func scriptResult(m *wire.Message, _ *operation, r *switching.Request) *Refusal {
	chip := m.Bytes(55)
	if len(chip) == 0 {
		return malformed(55, "missing: no script result")
	}
	var told []string
	tooLong := false
	err := wire.WalkTLV(chip, func(tag uint32, value []byte) bool {
		names := map[uint32]string{tagScriptResults: "script results", tagTVR: "terminal verification results", tagATC: "card counter"}
		if name, kept := names[tag]; kept {
			tooLong = tooLong || len(value) > maxScriptBytes
			told = append(told, name+" "+strings.ToUpper(hex.EncodeToString(value)))
		}
		return len(told) < len(names)
	})
	if err != nil || tooLong {
		return malformed(55, "not chip data")
	}
	r.Remark = strings.Join(told, ", ")
	r.Data = []byte(r.Remark) // what makes a repeat of it a repeat
	return nil
}
