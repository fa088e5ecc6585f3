// Package story plays scenarios at a running sandbox: files in YAML that say what
// a terminal sends, how the clock moves and what has to come of it.
//
//	file ─▶ Parse ─▶ Scenario ─▶ Player.Play ─┬─▶ host/terminal ─TCP─▶ host
//	                                          ├─▶ the sandbox's clock
//	                                          └─▶ the books (switching, ledger)
//	                                          │
//	                     Keep ◀── Telling ◀───┘─▶ text, JSON, JUnit
//
// The stories of the program are such files, in the folder files: what tells a
// story and what runs a scenario is one thing.
//
// Invariants:
//
//   - What a file says wrong is an error with the file's line, before anything is
//     sent; a key that is not known is one.
//   - Terminals speak over TCP like any other: a scenario can do nothing that an
//     integrator's terminal cannot.
//   - Balances are what the scenario's own transactions moved, so that others may
//     use the sandbox meanwhile.
//   - A telling holds no card number, track, PIN or key: it is made of what the
//     test terminal reports and of what the books show.
package story
