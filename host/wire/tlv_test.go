package wire

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

func TestWalkTLV(t *testing.T) {
	for name, c := range map[string]struct {
		hex  string
		want string
		err  string
	}{
		"empty":             {"", "", ""},
		"two elements":      {"9F2601AB 950500000000FF", "9F26=AB 95=00000000FF", ""},
		"repeated tag":      {"720101 720102", "72=01 72=02", ""},
		"template":          {"7004 9F360100", "70=9F360100", ""},
		"filler":            {"00 8A023030 0000", "8A=3030", ""},
		"three-byte tag":    {"DF810201AA", "DF8102=AA", ""},
		"length of 1 byte":  {"8A8101AA", "8A=AA", ""},
		"length of 2 bytes": {"8A820001AA", "8A=AA", ""},
		"no value":          {"8A00", "8A=", ""},
		"tag cut off":       {"8A00 9F", "8A=", "walk TLV: offset 2: tag does not end within 3 bytes"},
		"tag too long":      {"9F8080800100", "", "walk TLV: offset 0: tag does not end within 3 bytes"},
		"no length":         {"9F26", "", "walk TLV: offset 2: no length"},
		"indefinite length": {"8A80AA0000", "", "walk TLV: offset 1: length is not 1 or 2 bytes"},
		"length of 3 bytes": {"8A83000001AA", "", "walk TLV: offset 1: length is not 1 or 2 bytes"},
		"length cut off":    {"8A8200", "", "walk TLV: offset 1: length is not 1 or 2 bytes"},
		"value cut off":     {"8A03AABB", "", "walk TLV: offset 2: 3 bytes announced, 2 left"},
		"most elements":     {strings.Repeat("8A00", maxTLVs), strings.TrimSpace(strings.Repeat("8A= ", maxTLVs)), ""},
		"too many elements": {strings.Repeat("8A00", maxTLVs+1), strings.TrimSpace(strings.Repeat("8A= ", maxTLVs)), "walk TLV: offset 256: more than 128 elements"},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			err := WalkTLV(unhexT(t, strings.ReplaceAll(c.hex, " ", "")), func(tag uint32, value []byte) bool {
				got = append(got, fmt.Sprintf("%X=%X", tag, value))
				return true
			})
			if joined := strings.Join(got, " "); joined != c.want {
				t.Errorf("%s, want %s", joined, c.want)
			}
			if text := fmt.Sprint(err); text != c.err && (err != nil || c.err != "") {
				t.Errorf("error %s, want %s", text, c.err)
			}
		})
	}
	visits := 0
	if err := WalkTLV([]byte{0x8A, 0, 0x8A, 0, 0x9F}, func(uint32, []byte) bool { visits++; return false }); err != nil || visits != 1 {
		t.Errorf("a visitor that has enough: %d visits, %v", visits, err)
	}
}

func FuzzWalkTLV(f *testing.F) {
	f.Add(unhexT(f, "5F2A0203605F340101820254008407A0000006021010950542800480009A031811229C01009F0206000000050000"))
	f.Fuzz(func(t *testing.T, data []byte) {
		visits, end := 0, 0
		_ = WalkTLV(data, func(_ uint32, value []byte) bool {
			visits++
			if at := end + bytes.Index(data[end:], value); at < end {
				t.Fatal("a value that is not in the data")
			}
			return true
		})
		if visits > maxTLVs {
			t.Fatalf("%d visits", visits)
		}
	})
}
