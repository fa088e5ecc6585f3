package dialect

import (
	"strings"

	"meridian/host/wire"
	"meridian/switch"
)

// network reads sign-ins, echoes and downloads.
func (d *unionPay) network(m *wire.Message, op *operation, r *switching.Request) *Refusal {
	r.WorkingKeys, r.SingleMAC = op.keys, d.profile.SingleMAC
	r.Catalogue = op.catalogue
	switch r.Kind {
	case switching.KindLogon:
		return unionPaySignOn(m, r)
	case switching.KindStatus:
		r.Skip = heardOf(string(m.Bytes(62)))
	case switching.KindDownload:
		return wanted(m, r)
	default:
	}
	return nil
}

// unionPaySignOn reads F63.1 of a sign-in. The operator's number alone says who
// stands there; with a slash and a password it signs on at the host.
func unionPaySignOn(m *wire.Message, r *switching.Request) *Refusal {
	if !strings.Contains(m.Get(63), "/") {
		return nil
	}
	return signOn(m, r)
}

// Downloads: F62 of a status report is 1 and how many entries the terminal has
// heard of, two digits.
const statusDigits = 3

// heardOf is what a status report says; 0 where it says something else.
func heardOf(f62 string) int {
	if len(f62) != statusDigits || f62[0] != '1' {
		return 0
	}
	n, ok := digits(f62[1:])
	if !ok {
		return 0
	}
	return int(n)
}

// Tags of F62 in downloads.
const (
	tagAID      = 0x9F06 // of an application; the RID of a public key
	tagKeyIndex = 0x9F22
)

// wanted reads which entry a terminal downloads: 9F06 and 9F22 of a public key,
// 9F06 of an application. Terminal parameters are one.
func wanted(m *wire.Message, r *switching.Request) *Refusal {
	if r.Catalogue == switching.TerminalParameters {
		return nil
	}
	var aid, index []byte
	err := wire.WalkTLV(m.Bytes(62), func(tag uint32, value []byte) bool {
		switch tag {
		case tagAID:
			aid = value
		case tagKeyIndex:
			index = value
		}
		return true
	})
	switch {
	case err != nil, len(aid) == 0:
		return malformed(62, "does not name what to download")
	case r.Catalogue == switching.PublicKeys && len(index) != 1:
		return malformed(62, "no index of a public key")
	case r.Catalogue == switching.PublicKeys:
		r.Data = switching.KeyName(aid, index[0])
	default:
		r.Data = aid
	}
	return nil
}
