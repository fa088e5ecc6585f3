package dialect

import (
	"strings"

	"meridian/host/wire"
	"meridian/switch"
)

// kinds of financial requests: version, class and function of the message type,
// then the transaction type, which is the first two digits of F3. What is not
// here is not supported: a 0220 with 02 is an adjustment to some terminals and
// must not pass for a void.
var kinds = map[string]map[string]switching.Kind{
	"010": {
		"00": switching.KindAuthorization,
		"31": switching.KindBalance,
	},
	"020": {
		"00": switching.KindSale,
		"02": switching.KindVoid,
		"09": switching.KindSale, // with cashback
		"20": switching.KindRefund,
		"29": switching.KindCancel,
		"31": switching.KindBalance,
	},
	"022": {
		"00": switching.KindAdvice,
	},
}

// kindOf says what a message asks for.
func kindOf(m *wire.Message) (switching.Kind, *Refusal) {
	mti := m.MTI()
	if _, ok := answerMTI(mti); !ok {
		return 0, unsupported(0, "message type is not a request of ISO 8583:1987")
	}
	class := mti[:3]
	types, financial := kinds[class]
	if about, ok := batchKinds[class]; ok {
		types, financial = about, true
	}
	reversal := class == "040" || class == "042"
	switch {
	case class == "080" || class == "082":
		return network(m)
	case !financial && !reversal && !isUpload(class):
		return 0, unsupported(0, "message type is not supported")
	}
	processing := m.Get(3)
	switch {
	case processing == "":
		return 0, malformed(3, "missing")
	case len(processing) < 2:
		return 0, malformed(3, "too short")
	case reversal: // it has its original's F3
		return switching.KindReversal, nil
	case isUpload(class): // as has an upload
		return switching.KindUpload, nil
	}
	if kind, ok := types[processing[:2]]; ok {
		return kind, nil
	}
	return 0, unsupported(3, "transaction is not supported")
}

// network management: F70, or F3 where a terminal has no F70.
func network(m *wire.Message) (switching.Kind, *Refusal) {
	switch strings.TrimLeft(m.Get(70), "0") {
	case "301":
		return switching.KindEcho, nil
	case "1":
		return switching.KindLogon, nil
	case "":
	default:
		return 0, unsupported(70, "network function is not supported")
	}
	processing := m.Get(3)
	switch {
	case strings.HasPrefix(processing, "99"):
		return switching.KindEcho, nil
	case strings.HasPrefix(processing, "92"):
		return switching.KindLogon, nil
	case processing == "":
		return 0, malformed(70, "neither field 70 nor field 3 names a network function")
	default:
		return 0, unsupported(3, "network function is not supported")
	}
}
