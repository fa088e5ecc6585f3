// Package archtest keeps the house as ARCHITECTURE.md draws it. It has tests only, over `go list` and the checkout's files:
// a rule that matters fails here, and its message says which file, which rule, and what to do instead.
//
//	cmd
//	 |
//	sandbox -> console
//	 |
//	node -> host -> dialect -> wire        (all below host/; terminal, a client, stands on wire alone)
//	 |
//	switch
//	 |
//	ledger
//	 |
//	internal/*, migrations
//
// Invariants that it checks:
//
//   - Imports go down this picture, in tests too, and never up. Every package has a rule.
//   - Each library that shapes the code has its place: ISO 8583 in host, SQL below it, the command line in cmd.
//   - The domain knows no message: switch and ledger hold no MTI, no field number, no response code.
//   - What tests use stays out of the program.
//   - Each package has a doc.go and a name that says what it holds; no file grows into three concepts.
//   - Makefile, lint configuration, environment variables and documents say the same as the code.
//
// To change a rule, change ARCHITECTURE.md and the table here in one commit, with the reason.
package archtest
