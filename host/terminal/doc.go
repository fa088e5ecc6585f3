// Package terminal is a test terminal: it sends what a point-of-sale terminal
// sends, shows what came back, and remembers enough to undo it.
//
//	sandbox.json ──▶ New ──▶ Terminal ──Run──▶ build ──▶ seal ──▶ link ──▶ host
//	                             ▲                                  │
//	                  terminal-<tid>.json ◀── record ◀── judge ◀────┘
//	                  (STAN, last transactions)            │
//	                                                     Report
//
// Its connection is moov-io/iso8583-connection and its messages are packed by
// moov-io/iso8583: a peer that shares no session, no reader and no writer with the
// host. Only field tables, framing and the MAC come from package wire.
//
// What holds:
//
//   - No card number, track, PIN or key leaves this package except to the host: not
//     in a report, an error or the state file. A record names its card by its
//     position in sandbox.json and its masked number; a session's keys are kept as
//     they came, under the terminal's master key.
//   - A sign-in counts only when every key has the check value that came with it.
//   - A request is in the state file before its first byte leaves, with outcome
//     unknown: a reversal finds it whatever happens then.
//   - An approval counts only when its answer belongs to the request and its MAC,
//     where the terminal has a key, is right. Otherwise the outcome is unknown.
//   - Processes of one terminal may run side by side: no STAN is given out twice.
package terminal
