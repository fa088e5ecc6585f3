//go:build unix

package sandbox

import (
	"crypto/sha1" //nolint:gosec // EMV's checksum of public keys is SHA-1 (EMV 4.3, book 2, table 10)
	"encoding/hex"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"meridian/switch"
)

// What UnionPay terminals download from a sandbox: parameters of a terminal, two
// public keys whose private halves nobody has, and the chip applications of the
// networks whose cards there are.

// terminalParameters by their codes. Each has the length that the form asks for.
var terminalParameters = []struct{ code, value string }{
	{"11", "60"},                      // kind of terminal
	{"12", "60"},                      // seconds to wait for an answer
	{"13", "3"},                       // tries to dial
	{"14", fmt.Sprintf("%-14s", "0")}, // telephone numbers: three for
	{"15", fmt.Sprintf("%-14s", "0")}, // transactions,
	{"16", fmt.Sprintf("%-14s", "0")}, //
	{"17", fmt.Sprintf("%-14s", "0")}, // one for management
	{"18", "1"},                       // tips are taken
	{"19", "15"},                      // percent at most
	{"20", "1"},                       // card numbers may be typed in
	{"21", "1"},                       // signs off after settlement
	{"22", fmt.Sprintf("%-40s", "MERIDIAN SANDBOX")}, // name on slips
	{"23", "3"}, // times that a reversal is sent
}

// publicKeys: modulus and index under UnionPay's registered identifier.
var publicKeys = []struct {
	index   byte
	modulus string
}{
	{0xF1, "CB20512D1B94C6BB4F0AF3B54FA64854382BAAC89B16DAD7B4E72E88017226DA8AB5515065259808DC29E0B6BA50E7AC" +
		"7191C01B4E3C8558CA23B6EB056A6992CC698D8D258A334FF125D2EE8F91FC278DC035016F7C3DDB01151CE7AAE910C1" +
		"43409F253979DE08D743C17DF091512E7B167AB785747E37CB392A3581B130318B3D9ECC5470A3C7C5172F435B7957A1"},
	{0xF3, "E5E65E51D65BD3A19E0A1CA07C0CDBD8CB9BB8AEA782A9547350E26958B2F9BB7FFDB3F56A26BE1447E2FCF8681098D4" +
		"2E9DDB8B963E33FE59DC836D0EE39191707EAD3798E9232EBD305233FA143462CD8E238FE3A22BF883E657629258AD90" +
		"80464FB03D47583116405AAC23C12EAED1927C7A5617E85B9BEB549AB55C575056EC07F761DE61B4C91396FAD1112B28" +
		"90C755A728642B1F5CC0BABE1F42223E9BFB0F27778BB99CD1ABA8C5A866DD1D"},
}

// unionPayRID is UnionPay's registered identifier.
const unionPayRID = "A000000333"

// chipApplications by name: debit, credit and quasi-credit of UnionPay, and the
// first application of the others.
var chipApplications = []string{
	unionPayRID + "010101", unionPayRID + "010102", unionPayRID + "010103", unionPayRID + "010106",
	"A0000000031010", "A0000000041010", "A0000000651010",
}

// keysExpire is when the sandbox's keys do, and far off.
var keysExpire = time.Date(2039, 12, 31, 0, 0, 0, 0, time.UTC)

// queueCatalogues fills the catalogues that have never had anything.
func (s *seeder) queueCatalogues(b *pgx.Batch) error {
	for _, p := range terminalParameters {
		s.queue(b, insertTerminalParameterSQL, p.code, p.value)
	}
	for _, k := range publicKeys {
		parameters, err := publicKeyParameters(k.index, k.modulus)
		if err != nil {
			return fmt.Errorf("public key %02X: %w", k.index, err)
		}
		rid, _ := hex.DecodeString(unionPayRID)
		s.queue(b, insertPublicKeySQL, rid, int16(k.index), keysExpire, parameters)
	}
	for _, aid := range chipApplications {
		name, err := hex.DecodeString(aid)
		if err != nil {
			return fmt.Errorf("application %s: %w", aid, err)
		}
		s.queue(b, insertChipApplicationSQL, name, applicationParameters(name))
	}
	for _, of := range []switching.Catalogue{switching.TerminalParameters, switching.PublicKeys, switching.ChipApplications} {
		s.queue(b, fillCatalogueSQL, int16(of))
	}
	return nil
}

// tlv is an element of tag and value, both in hexadecimal; values are below 128
// bytes, or two bytes tell their length.
func tlv(tag string, value []byte) []byte {
	b, _ := hex.DecodeString(tag)
	if len(value) > 127 {
		b = append(b, 0x81)
	}
	return append(append(b, byte(len(value))), value...)
}

// publicKeyParameters is a key as terminals take it: identifier, index, expiry,
// hash and signature algorithms, modulus, exponent and the checksum over what
// names and makes it.
func publicKeyParameters(index byte, modulusHex string) ([]byte, error) {
	rid, err := hex.DecodeString(unionPayRID)
	if err != nil {
		return nil, err //nolint:wrapcheck // a constant
	}
	modulus, err := hex.DecodeString(modulusHex)
	if err != nil {
		return nil, fmt.Errorf("modulus: %w", err)
	}
	exponent := []byte{3}
	checked := append(append(append(append([]byte{}, rid...), index), modulus...), exponent...)
	checksum := sha1.Sum(checked) //nolint:gosec // as above
	var b []byte
	for _, e := range []struct {
		tag   string
		value []byte
	}{
		{"9F06", rid},
		{"9F22", []byte{index}},
		{"DF05", []byte(keysExpire.Format("20060102"))},
		{"DF06", []byte{1}},
		{"DF07", []byte{1}},
		{"DF02", modulus},
		{"DF04", exponent},
		{"DF03", checksum[:]},
	} {
		b = append(b, tlv(e.tag, e.value)...)
	}
	return b, nil
}

// applicationParameters are what a terminal does with an application: as a
// published answer has them.
func applicationParameters(aid []byte) []byte {
	const rest = "DF010100" + "9F08020140" + // partial names match; version
		"DF1105D84000A800" + "DF1205D84004F800" + "DF13050010000000" + // action codes: default, online, denial
		"9F1B0400000000" + "DF150400000000" + "DF160199" + "DF170199" + // floor limit, random selection
		"DF14039F3704" + "DF180101" + // default DDOL; takes a PIN online
		"9F7B06000000010000" + "DF1906000000000001" + "DF2006000000010000" + "DF2106000000010000" // contactless limits
	b, _ := hex.DecodeString(rest)
	return append(tlv("9F06", aid), b...)
}
