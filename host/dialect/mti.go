package dialect

// A message type indicator is version, class, function and origin.
// ISO 8583:1987 has version 0.

// answerMTI is the type of the answer to a request of type mti: the function
// says response, and the origin is the first transmission's whether or not this
// one is a repeat. ok is false for what is not a request of ISO 8583:1987.
func answerMTI(mti string) (answer string, ok bool) {
	answer, ok = answerTypes[mti]
	return answer, ok
}

// answerTypes are the types of all answers by their request's: classes 1 to 8,
// requests and advices, origins 0 to 5.
var answerTypes = func() map[string]string {
	types := map[string]string{}
	for class := '1'; class <= '8'; class++ {
		for _, function := range "02" {
			for origin := '0'; origin <= '5'; origin++ {
				types[string([]rune{'0', class, function, origin})] = string([]rune{'0', class, function + 1, origin &^ 1})
			}
		}
	}
	return types
}()

// repeated tells a repeat (0201, 0401, 0221) from a first transmission.
func repeated(mti string) bool { return mti[3]%2 == 1 }
