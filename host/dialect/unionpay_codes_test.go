package dialect_test

import (
	"bytes"
	"encoding/hex"
	"os"
	"strings"
	"testing"

	"meridian/host/dialect"
	"meridian/internal/gbk"
	"meridian/switch"
)

// gbkOf reads this package's texts as iconv encodes them:
// iconv -f UTF-8 -t GBK.
func gbkOf(t *testing.T) map[string]string {
	t.Helper()
	file, err := os.ReadFile("testdata/gbk.txt")
	if err != nil {
		t.Fatal(err)
	}
	texts := map[string]string{}
	for line := range bytes.Lines(file) {
		text, encoded, _ := strings.Cut(strings.TrimSpace(string(line)), "\t")
		b, err := hex.DecodeString(encoded)
		if err != nil {
			t.Fatal(err)
		}
		texts[text] = string(b)
	}
	return texts
}

func TestGBK(t *testing.T) {
	texts := gbkOf(t)
	if len(texts) < 70 {
		t.Fatalf("%d texts", len(texts))
	}
	for text, want := range texts {
		var got strings.Builder
		for _, c := range text {
			got.WriteString(gbk.Encode(c))
		}
		if got.String() != want {
			t.Errorf("%s is % X, want % X", text, got.String(), want)
		}
	}
	if got := gbk.Encode('é'); got != "?" {
		t.Errorf("what is in no text is % X", got)
	}
}

// Every reason has a code, every code a class and something to show, and what is
// shown is one of the texts held against iconv.
func TestUnionPayCodes(t *testing.T) {
	texts := gbkOf(t)
	for _, name := range dialect.Profiles() {
		d := unionPay(t, profile(name))
		request := received(t, d, "0200", unionPaySale)
		for _, reason := range switching.Reasons() {
			answer := answerTo(d, request, outcome(reason))
			code := answer.Get(39)
			c, ok := dialect.ResponseCodeTable[code]
			if !ok {
				t.Fatalf("%s: %s has the code %q, which is not in the table", name, reason, code)
			}
			if (c.Class() == 'A') != (reason == switching.Approved) {
				t.Errorf("%s: %s has the code %s of class %c", name, reason, code, c.Class())
			}
			_, shown := text63(t, answer)
			found := false
			for _, encoded := range texts {
				found = found || encoded == shown
			}
			if shown == "" || !found {
				t.Errorf("%s: %s shows % X", name, reason, shown)
			}
		}
	}
	for code, c := range dialect.ResponseCodeTable {
		if len(code) != 2 || strings.IndexByte("ABCDE", c.Class()) < 0 {
			t.Errorf("code %q of class %c", code, c.Class())
		}
	}
	if len(dialect.ResponseCodeTable) != 74 {
		t.Errorf("%d codes, want those of the reference", len(dialect.ResponseCodeTable))
	}
}

func TestUnionPayTexts(t *testing.T) {
	texts := gbkOf(t)
	void := unionPaySale.but(fields{3: "200000", 60: "23000007000500"}).but(unionPayReference)
	refund := unionPaySale.but(fields{3: "200000", 60: "25000007000500"}).but(unionPayReference)
	for name, c := range map[string]struct {
		mti      string
		request  fields
		response *switching.Response
		want     string
	}{
		"approved":              {"0200", unionPaySale, outcome(switching.Approved), "交易成功"},
		"no funds":              {"0200", unionPaySale, outcome(switching.InsufficientFunds), "余额不足，请查询"},
		"another batch":         {"0200", unionPaySale, outcome(switching.NotCurrentBatch), "请向网络中心签到"},
		"wrong MAC":             {"0200", unionPaySale, outcome(switching.MACWrong), "校验错，请重新签到"},
		"two lines":             {"0200", unionPaySale, outcome(switching.UnknownTerminal), "终端未登记，请联系收单行或银联"},
		"void of what is paid":  {"0200", void, outcome(switching.NotAllowedNow, became(switching.KindVoid, 18)), "已结算，请做退货"},
		"refund on the day":     {"0220", refund, outcome(switching.NotAllowedNow, became(switching.KindRefund, 21)), "当日请做撤销"},
		"part on the day":       {"0220", refund, outcome(switching.NotAllowedNow, became(switching.KindRefund, 22)), "当日请做撤销"},
		"under review":          {"0220", refund, outcome(switching.UnderReview, became(switching.KindRefund, 26)), "退货审核中"},
		"a void became refund":  {"0200", void, outcome(switching.Approved, became(switching.KindRefund, 29)), "已结算，已转为退货"},
		"a refund became void":  {"0220", refund, outcome(switching.Approved, became(switching.KindVoid, 21)), "未结算，已转为撤销"},
		"a void that is a void": {"0200", void, outcome(switching.Approved, became(switching.KindVoid, 16)), "交易成功"},
		"too many refunds":      {"0220", refund, outcome(switching.ExceedsCountLimit, became(switching.KindRefund, 25)), "交易失败"},
	} {
		d := unionPay(t)
		_, got := text63(t, answerTo(d, received(t, d, c.mti, c.request), c.response))
		if got != texts[c.want] || got == "" {
			t.Errorf("%s: shows % X, want %s", name, got, c.want)
		}
	}
}

// What hosts answer differently: the decision is the same.
func TestUnionPayProfiles(t *testing.T) {
	void := unionPaySale.but(fields{3: "200000", 60: "23000007000500"}).but(unionPayReference)
	refund := unionPaySale.but(fields{3: "200000", 60: "25000007000500"}).but(unionPayReference)
	reversal := unionPaySale.but(fields{39: "98"})
	for _, c := range []struct {
		name           string
		mti            string
		request        fields
		response       *switching.Response
		cup, spp, posp string
	}{
		{"void of what is settled", "0200", void, outcome(switching.NotAllowedNow, became(switching.KindVoid, 18)), "22", "22", "12"},
		{"refund of what is not", "0220", refund, outcome(switching.NotAllowedNow, became(switching.KindRefund, 21)), "22", "22", "25"},
		{"refund too late", "0220", refund, outcome(switching.NotAllowedNow, became(switching.KindRefund, 23)), "22", "22", "25"},
		{"refund of too much", "0220", refund, outcome(switching.ExceedsAmountLimit, became(switching.KindRefund, 24)), "61", "61", "13"},
		{"refund to another card", "0220", refund, outcome(switching.CardMismatch, became(switching.KindRefund, 9)), "14", "25", "63"},
		{"void with another card", "0200", void, outcome(switching.CardMismatch, became(switching.KindVoid, 9)), "14", "25", "14"},
		{"void of another amount", "0200", void, outcome(switching.AmountMismatch, became(switching.KindVoid, 17)), "64", "25", "13"},
		{"void elsewhere", "0200", void, outcome(switching.WrongTerminal, became(switching.KindVoid, 9)), "22", "25", "22"},
		{"void of what is void", "0200", void, outcome(switching.InvalidTransaction, became(switching.KindVoid, 13)), "12", "25", "12"},
		{"reversal of another amount", "0400", reversal, outcome(switching.AmountMismatch), "64", "64", "25"},
		{"reversal of the unknown", "0400", reversal, outcome(switching.OriginalNotFound), "25", "25", "25"},
		{"approved by a rule", "0220", refund, outcome(switching.Approved, became(switching.KindVoid, 21)), "00", "00", "00"},
	} {
		for name, want := range map[string]string{"cup": c.cup, "spp": c.spp, "posp": c.posp} {
			d := unionPay(t, profile(name))
			if got := answerTo(d, received(t, d, c.mti, c.request), c.response).Get(39); got != want {
				t.Errorf("%s with profile %s: %s, want %s", c.name, name, got, want)
			}
		}
	}
}
