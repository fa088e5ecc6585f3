// Package console is the web console: what operators and integrators look at, and
// where operators decide what waits for a person.
//
//	browser ──▶ Server ──▶ guard (host, origin, headers, sign-in) ──▶ page ──▶ switching, ledger (their own reads)
//	                                                                    └────▶ template ──▶ HTML, SVG
//
// Invariants:
//
//   - A page is whole without JavaScript. The modules in assets add liveness and
//     nothing that cannot be had by loading the page again.
//   - Nothing comes from elsewhere: every answer has a policy that says so, and no
//     script or style stands in a page.
//   - No card number, track, PIN block or key is on a page, in an event or in an
//     address. One that somebody types is masked before anything else happens, and
//     in a reason before it is kept. Only a sandbox's message builder shows the bytes of what is made
//     there: with test cards, whose numbers and keys are public.
//   - What is shown is what the command line shows, read by the same functions.
//   - A page reads a bounded number of rows over an index, on connections of the
//     console's own: people never wait in the way of terminals.
//   - What a person changes is in the audit log, with who and why.
//   - What moves the clock or plays a terminal is there in a sandbox alone: no option
//     of a host's opens it.
package console
