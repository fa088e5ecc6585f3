package dialect

// A message type indicator is version, class, function and origin.
// ISO 8583:1987 has version 0.

// answerMTI is the type of the answer to a request of type mti: the function
// says response, and the origin is the first transmission's whether or not this
// one is a repeat. ok is false for what is not a request of ISO 8583:1987.
func answerMTI(mti string) (answer string, ok bool) {
	if len(mti) != 4 || mti[0] != '0' || mti[1] < '1' || mti[1] > '8' || mti[3] < '0' || mti[3] > '5' {
		return "", false
	}
	switch mti[2] {
	case '0', '2': // request, advice
		return mti[:2] + string(rune(mti[2]+1)) + string(rune(mti[3]&^1)), true
	default: // responses, notifications, acknowledgements
		return "", false
	}
}

// repeated tells a repeat (0201, 0401, 0221) from a first transmission.
func repeated(mti string) bool { return mti[3]%2 == 1 }
