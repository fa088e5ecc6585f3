package config

import (
	"fmt"
	"strings"
)

// Problem is one thing that is wrong with a configuration.
type Problem struct {
	// Origin is the place that has to be changed; a default where the key is nowhere set.
	Origin Origin
	// Key is the full key, such as listeners[0].max_frame_bytes; empty where a file as a whole is wrong.
	Key string
	// Reason is a phrase for the person who mends it. It never repeats a secret.
	Reason string
}

// String is the problem as place: key: reason, without the parts that it has not.
func (p Problem) String() string {
	parts := make([]string, 0, 3)
	if p.Origin.Source != SourceDefault {
		parts = append(parts, p.Origin.String())
	}
	if p.Key != "" {
		parts = append(parts, p.Key)
	}
	return strings.Join(append(parts, p.Reason), ": ")
}

// Error is everything that is wrong with a configuration.
type Error struct {
	Problems []Problem
}

// maxShownProblems keeps the message readable when a wrong file is given: nobody mends more at once.
const maxShownProblems = 50

// Error has one line for each problem.
func (e *Error) Error() string {
	var text strings.Builder
	for i, problem := range e.Problems {
		if i == maxShownProblems {
			fmt.Fprintf(&text, "\nand %d more", len(e.Problems)-i)
			break
		}
		if i > 0 {
			text.WriteByte('\n')
		}
		text.WriteString(problem.String())
	}
	return text.String()
}

// asError returns nil when there is no problem.
func asError(problems []Problem) error {
	if len(problems) == 0 {
		return nil
	}
	return &Error{Problems: problems}
}
