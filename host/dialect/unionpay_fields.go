package dialect

import (
	"meridian/host/wire"
	"meridian/switch"
)

// Sub-fields of F60, in digits: message type 2, batch 6, network management 3;
// then reading capability, chip condition, partial approval and account type,
// which nothing here depends on.
const (
	typeDigits    = 2
	batchDigits   = 6
	networkDigits = 3
)

// field60 is what F60 says.
type field60 struct {
	messageType string // 60.1
	batch       int32  // 60.2
	network     string // 60.3, 000 where it is left out
}

func readField60(m *wire.Message) (field60, *Refusal) {
	text := m.Get(60)
	switch {
	case text == "":
		return field60{}, malformed(60, "missing")
	case len(text) < typeDigits+batchDigits:
		return field60{}, malformed(60, "too short for a message type and a batch number")
	}
	batch, ok := digits(text[typeDigits : typeDigits+batchDigits])
	if !ok {
		return field60{}, malformed(60, "batch number is not a number")
	}
	f := field60{messageType: text[:typeDigits], batch: int32(batch), network: "000"}
	if rest := text[typeDigits+batchDigits:]; len(rest) >= networkDigits {
		f.network = rest[:networkDigits]
	}
	return f, nil
}

// Sub-fields of F61, in digits: the original's batch 6, STAN 6 and date 4 (MMDD);
// then how it was authorized by voice and by whom. Zeros are what the terminal
// does not know.
const dateDigits = 4

// byOriginalMessage reads F61.
func byOriginalMessage(m *wire.Message, ref *switching.Reference) *Refusal {
	text := m.Get(61)
	if text == "" {
		return nil
	}
	if len(text) < batchDigits+stanDigits {
		return malformed(61, "too short for the original's batch and trace number")
	}
	batch, ok1 := digits(text[:batchDigits])
	trace, ok2 := digits(text[batchDigits : batchDigits+stanDigits])
	if !ok1 || !ok2 {
		return malformed(61, "not a number")
	}
	ref.BatchNo, ref.STAN, ref.HasSTAN = int32(batch), int32(trace), trace != 0
	if rest := text[batchDigits+stanDigits:]; len(rest) >= dateDigits && rest[:dateDigits] != "0000" {
		ref.Date = rest[:dateDigits]
	}
	return nil
}
