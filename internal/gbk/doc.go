// Package gbk is the encoding of the texts that UnionPay's terminals show and print
// (GB 13000.1 in GBK), as far as this project has texts: its table has their
// characters, so that the whole of the encoding need not be here.
//
//	"终端" ──Encode──▶ D6 D5 B6 CB ──Decode──▶ "终端"
//
// What holds:
//
//   - Every character of the table comes back as it went. Package dialect's tests
//     hold its texts, which the table is made of, against iconv's.
//   - What is not in the table is one question mark going out and one U+FFFD
//     coming in; nothing fails.
package gbk
