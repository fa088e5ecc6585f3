package main

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestCatalogueIsChanged(t *testing.T) {
	w := newWorld(t)
	sign := []string{"--by", "Ann Lee", "--reason", "new cards"}
	run := func(code int, arguments ...string) outcome {
		t.Helper()
		return w.call(append(append([]string{"catalogue"}, arguments...), sign...)...).want(t, code)
	}
	w.call("catalogue", "list").want(t, 0, "terminal parameters, version 1, taken by 0 terminals", "A000000333/F1", "2039-12-31", "A000000333010101", "MERIDIAN SANDBOX")
	w.call("catalogue", "put", "parameter", "12", "45").want(t, exitUsage, "--by")
	run(0, "put", "parameter", "12", "45").want(t, 0, "parameter 12 is put", "running hosts")
	run(0, "put", "application", "9F0605A000000999DF010100").want(t, 0, "application A000000999 is put")
	run(0, "put", "key", "9F0605A0000009999F22010CDF05083230333131323331DF060101").want(t, 0, "key A000000999/0C is put")
	var list []catalogueView
	if err := json.Unmarshal([]byte(w.call("catalogue", "list", "-o", "json").want(t, 0).stdout), &list); err != nil {
		t.Fatal(err)
	}
	found := map[string]entryView{}
	for _, c := range list {
		if c.Version != 2 {
			t.Errorf("%s has version %d", c.Catalogue, c.Version)
		}
		for _, e := range c.Entries {
			found[e.Entry+" "+e.Name] = e
		}
	}
	if e := found["key A000000999/0C"]; e.Expires != "2031-12-31" || e.Parameters != "9F0605A0000009999F22010CDF05083230333131323331DF060101" {
		t.Errorf("key %+v", e)
	}
	if found["parameter 12"].Parameters != "45" || found["application A000000999"].Entry == "" {
		t.Errorf("entries %+v", found)
	}
	run(0, "remove", "key", "A000000999/0c").want(t, 0, "key A000000999/0C is removed")
	run(0, "remove", "application", "A000000999")
	run(0, "remove", "parameter", "12")
	w.call("audit", "list", "--kind", "catalogue_changed").want(t, 0, "by Ann Lee: new cards")
	for name, arguments := range map[string][]string{
		"nothing known":            {"put", "list", "00"},
		"nothing known to remove":  {"remove", "list", "00"},
		"no value":                 {"put", "parameter", "12"},
		"a value too many":         {"put", "key", "00", "00"},
		"not hexadecimal":          {"put", "key", "hello"},
		"not elements":             {"put", "key", "9F0605"},
		"a key without index":      {"put", "key", "9F0605A000000999DF05083230333131323331"},
		"a key without a date":     {"put", "key", "9F0605A0000009999F22010CDF05083230333131333331"},
		"an application of no AID": {"put", "application", "DF010100"},
		"a key by half":            {"remove", "key", "A000000999"},
		"an application by words":  {"remove", "application", "debit"},
	} {
		t.Run(name, func(t *testing.T) { run(exitUsage, arguments...) })
	}
	for said, arguments := range map[string][]string{
		`CODE: "123" is not two digits`:                                  {"parameter", "123", "1"},
		`CODE: "1" is not two digits`:                                    {"parameter", "1", "hello"},
		`CODE: "1a" is not two digits`:                                   {"parameter", "1a", "hello"},
		"VALUE: terminals expect 2 characters for code 12 and it has 8":  {"parameter", "12", "abcdefgh"},
		"VALUE: terminals expect 14 characters for code 14 and it has 1": {"parameter", "14", "0"},
		"VALUE: has 0 characters, and it is 1 to 40":                     {"parameter", "99", ""},
		"VALUE: has a character that is not ASCII":                       {"parameter", "99", "é"},
		"AID: A000 has 2 bytes, and an AID has 5 to 16":                  {"application", "9F0602A000DF010100"},
		"RID/INDEX: A000 has 2 bytes, and a RID has 5":                   {"key", "9F0602A0009F22010CDF05083230333131323331"},
		"HEX: has 910 bytes, and terminals take 1 to 900":                {"application", "9F0605A000000999DF01820381" + strings.Repeat("00", 897)},
	} {
		if o := run(exitUsage, append([]string{"put"}, arguments...)...).want(t, exitUsage, said); strings.Contains(o.stderr, "SQLSTATE") {
			t.Errorf("%v: %s", arguments, o.stderr)
		}
	}
	run(exitUsage, "remove", "parameter", "123").want(t, exitUsage, "CODE:")
	run(0, "put", "parameter", "99", "a maker's own")
}

// What is not there is not removed, and no row of the audit log says that it was.
func TestNothingIsRemovedFromACatalogue(t *testing.T) {
	w := newWorld(t)
	for name, what := range map[string][]string{
		"CODE: there is no terminal parameter 99":             {"parameter", "99"},
		"AID: there is no chip application A000000998":        {"application", "A000000998"},
		"RID/INDEX: there is no public key A000000333/0B":     {"key", "A000000333/0B"},
		"RID/INDEX: there is no public key A000000999/F1 (me": {"key", "a000000999/f1"},
	} {
		w.call("catalogue", "remove", what[0], what[1], "--by", "Ann Lee", "--reason", "withdrawn").want(t, exitFailure, name, "meridian catalogue list shows what there is")
	}
	if o := w.call("audit", "list", "--kind", "catalogue_changed").want(t, 0); strings.Contains(o.stdout, "Ann") {
		t.Errorf("the audit log says\n%s", o.stdout)
	}
}
