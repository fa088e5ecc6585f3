package ledger

import (
	"github.com/rickar/cal/v2"
	"github.com/rickar/cal/v2/at"
	"github.com/rickar/cal/v2/be"
	"github.com/rickar/cal/v2/ca"
	"github.com/rickar/cal/v2/ch"
	"github.com/rickar/cal/v2/cz"
	"github.com/rickar/cal/v2/de"
	"github.com/rickar/cal/v2/dk"
	"github.com/rickar/cal/v2/ecb"
	"github.com/rickar/cal/v2/es"
	"github.com/rickar/cal/v2/fi"
	"github.com/rickar/cal/v2/fr"
	"github.com/rickar/cal/v2/gb"
	"github.com/rickar/cal/v2/ie"
	"github.com/rickar/cal/v2/it"
	"github.com/rickar/cal/v2/jp"
	"github.com/rickar/cal/v2/nl"
	"github.com/rickar/cal/v2/no"
	"github.com/rickar/cal/v2/nz"
	"github.com/rickar/cal/v2/pl"
	"github.com/rickar/cal/v2/pt"
	"github.com/rickar/cal/v2/se"
	"github.com/rickar/cal/v2/us"
)

type region struct {
	code     string // ISO 3166, or ecb for the days on which euro payments settle
	holidays []*cal.Holiday
}

// regions whose nationwide holidays are known. China is not among them: its
// government announces each year's dates, which are entered as explicit ones.
func regions() []region {
	return []region{
		{"at", at.Holidays},
		{"be", be.Holidays},
		{"ca", ca.Holidays},
		{"ch", ch.Holidays},
		{"cz", cz.Holidays},
		{"de", de.Holidays},
		{"dk", dk.Holidays},
		{"ecb", ecb.Holidays},
		{"es", es.Holidays},
		{"fi", fi.Holidays},
		{"fr", fr.Holidays},
		{"gb", gb.Holidays},
		{"ie", ie.Holidays},
		{"it", it.Holidays},
		{"jp", jp.Holidays},
		{"nl", nl.Holidays},
		{"no", no.Holidays},
		{"nz", nz.Holidays},
		{"pl", pl.Holidays},
		{"pt", pt.Holidays},
		{"se", se.Holidays},
		{"us", us.Holidays},
	}
}

func publicHolidays(code string) ([]*cal.Holiday, bool) {
	for _, r := range regions() {
		if r.code == code {
			return r.holidays, true
		}
	}
	return nil, false
}
