package terminal

import "fmt"

// ErrorKind says whose turn it is after an error.
type ErrorKind uint8

const (
	// KindFailure is an answer that cannot be trusted or read, or a state file that cannot be written.
	KindFailure ErrorKind = iota
	// KindUsage is a wrong or missing flag.
	KindUsage
	// KindConfiguration is a file that is not what it should be: sandbox.json, certificates, the state.
	KindConfiguration
	// KindUnreachable is a host that is not there or does not answer.
	KindUnreachable
	// KindDeclined is an answer other than approved.
	KindDeclined
)

// Error is what every function of this package returns besides the context's
// errors. Its text holds no card data.
type Error struct {
	Kind ErrorKind
	Err  error
}

func (e *Error) Error() string { return e.Err.Error() }

func (e *Error) Unwrap() error { return e.Err }

func errorf(kind ErrorKind, format string, arguments ...any) error {
	return &Error{Kind: kind, Err: fmt.Errorf(format, arguments...)}
}
