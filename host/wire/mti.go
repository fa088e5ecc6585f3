package wire

// typeNames are all message types, one after the other: a type that is read off the
// wire is a part of them, and so a string that costs nothing and may be kept.
var typeNames = func() string {
	names := make([]byte, 0, 10_000*mtiDigits)
	for n := range 10_000 {
		names = append(names, '0'+byte(n/1000), '0'+byte(n/100%10), '0'+byte(n/10%10), '0'+byte(n%10))
	}
	return string(names)
}()

// readMTI reads the message type that a payload begins with, in size bytes. When
// reason is not empty, at is the byte at fault.
func (s *Spec) readMTI(payload []byte) (mti string, size, at int, reason string) {
	size = s.mti.wireBytes(mtiDigits)
	if len(payload) < size {
		return "", size, len(payload), reasonTruncated
	}
	n := 0
	for i, b := range payload[:size] {
		switch {
		case size == mtiDigits && isDigit(b):
			n = n*10 + int(b-'0')
		case size == mtiDigits:
			return "", size, i, reasonDigit
		case b>>4 > 9 || b&0x0F > 9:
			return "", size, i, reasonNibble
		default:
			n = n*100 + int(b>>4)*10 + int(b&0x0F)
		}
	}
	return typeNames[n*mtiDigits:][:mtiDigits], size, 0, ""
}
