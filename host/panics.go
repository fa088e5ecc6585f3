package host

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
)

// maxStackFrames is deep enough to reach from a handler's leaf to the session.
const maxStackFrames = 48

// reportPanic counts and logs a contained panic: where it happened, and what it
// was only if the runtime said it. Panic values of our own code may hold a part
// of a message, and so may the arguments in debug.Stack.
func (s *Server) reportPanic(where, listener string, conn uint64, value any) {
	s.metrics.panics.Inc()
	s.logger.Error("panic contained",
		"where", where, "listener", listener, "conn", conn,
		"panic", panicText(value), "stack", stackText())
}

func panicText(value any) string {
	if err, ok := value.(error); ok {
		if fault, ok := errors.AsType[runtime.Error](err); ok {
			return fault.Error()
		}
	}
	return fmt.Sprintf("value of type %T", value)
}

// stackText names functions and lines, without arguments.
func stackText() string {
	var pcs [maxStackFrames]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs[:])])
	var b strings.Builder
	for {
		f, more := frames.Next()
		if f.Function != "" {
			fmt.Fprintf(&b, "%s %s:%d\n", f.Function, f.File, f.Line)
		}
		if !more {
			return b.String()
		}
	}
}
