package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// maxHiddenLine bounds what is read to find the end of a key's component, which has
// 64 digits at most and spaces between, or of a card's line.
const maxHiddenLine = 256

// hiddenLine takes one line that nobody else is to see: the first line of a file or, without one or with -, of standard input,
// asked for without showing it where that is a terminal. what is in prompts and errors.
func (g *globals) hiddenLine(file, what string) ([]byte, error) {
	if keyboard, ok := g.keyboard(file); ok {
		_, _ = io.WriteString(g.stderr, strings.ToUpper(what[:1])+what[1:]+": ")
		line, err := term.ReadPassword(int(keyboard.Fd()))
		_, _ = io.WriteString(g.stderr, "\n")
		if err != nil {
			return nil, fmt.Errorf("read the %s: %w", what, err)
		}
		return line[:min(len(line), maxHiddenLine)], nil
	}
	from, err := g.input(file, what)
	if err != nil {
		return nil, err
	}
	defer from.Close()
	line, err := bufio.NewReader(io.LimitReader(from, maxHiddenLine)).ReadBytes('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read the %s: %w", what, err)
	}
	return line, nil
}

// keyboard is the terminal at which somebody is to type, if no file is given or, with -, standard input: whoever names that
// at a terminal types there as well.
func (g *globals) keyboard(file string) (*os.File, bool) {
	keyboard, ok := g.stdin.(*os.File)
	return keyboard, ok && (file == "" || file == "-") && term.IsTerminal(int(keyboard.Fd()))
}

// input is a file or, without one or with -, standard input.
func (g *globals) input(file, what string) (io.ReadCloser, error) {
	if file == "" || file == "-" {
		return io.NopCloser(g.stdin), nil
	}
	opened, err := os.Open(file)
	if err != nil {
		return nil, withExit(exitConfiguration, fmt.Errorf("read the %s: %w", what, err))
	}
	return opened, nil
}
