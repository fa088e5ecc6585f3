// Meridian, the one binary: a host for ISO 8583 terminals, its sandbox, and the commands around them.
//
//	main ─▶ run ─▶ root ─▶ serve │ sandbox │ terminal │ ledger │ transaction │ …
//	         │       │
//	         │       └─ globals: what every command has (output form, streams, configuration)
//	         └─ exit code: 0 ok, 1 failure, 2 usage, 3 configuration, 4 unreachable, 5 invariant violated
//
// Invariants:
//
//   - A file is a command, and wiring only: what it does is done by the packages it calls.
//   - Results go to standard output, everything else to standard error. With --output json both are JSON, errors too.
//   - An error becomes an exit code in one place (exit.go). What fails before a command's own code has run is usage.
//   - The first SIGINT or SIGTERM asks the command to end in order, the second ends the process.
package main
