package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"golang.org/x/term"
)

// A terminal's keypad types an operator's password.
const (
	minPasswordLetters = 4
	maxPasswordLetters = 64
)

// maxPasswordLine bounds what is read to find the end of a password.
const maxPasswordLine = 1024

// password takes a new password: from a file or, without one or with -, from standard input. A person is asked twice.
func (g *globals) password(file string) (string, error) {
	if keyboard, ok := g.keyboard(file); ok {
		return g.typed(func() ([]byte, error) { return term.ReadPassword(int(keyboard.Fd())) })
	}
	from := g.stdin
	if file != "" && file != "-" {
		opened, err := os.Open(file)
		if err != nil {
			return "", withExit(exitConfiguration, fmt.Errorf("read the password: %w", err))
		}
		defer opened.Close()
		from = opened
	}
	line, err := bufio.NewReader(io.LimitReader(from, maxPasswordLine)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("read the password: %w", err)
	}
	return checkPassword(strings.TrimRight(line, "\r\n"))
}

// typed asks a person for a password twice; read takes a line without showing it.
func (g *globals) typed(read func() ([]byte, error)) (string, error) {
	var lines [2]string
	for i, prompt := range []string{"New password: ", "The same again: "} {
		_, _ = io.WriteString(g.stderr, prompt)
		line, err := read()
		_, _ = io.WriteString(g.stderr, "\n")
		if err != nil {
			return "", fmt.Errorf("read the password: %w", err)
		}
		lines[i] = string(line)
		if _, err := checkPassword(lines[i]); err != nil {
			return "", err
		}
	}
	if lines[0] != lines[1] {
		return "", usagef("the two passwords differ: nothing was changed")
	}
	return lines[0], nil
}

// checkPassword refuses what nobody can type at a terminal. Its errors do not hold the password.
func checkPassword(password string) (string, error) {
	if n := utf8.RuneCountInString(password); n < minPasswordLetters || n > maxPasswordLetters {
		return "", usagef("the password has %d letters: it has %d to %d", n, minPasswordLetters, maxPasswordLetters)
	}
	if printable(password) != password || !utf8.ValidString(password) {
		return "", usagef("the password has characters that nobody can type")
	}
	return password, nil
}
