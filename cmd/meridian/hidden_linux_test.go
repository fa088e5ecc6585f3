package main

import (
	"io"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// pseudoTerminal is a terminal whose keyboard commands read; what is written to person is typed at it.
func pseudoTerminal(t *testing.T) (person, keyboard *os.File) {
	t.Helper()
	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no pseudo terminals here: %v", err)
	}
	t.Cleanup(func() { _ = person.Close() })
	number, err := unix.IoctlGetInt(int(person.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetPointerInt(int(person.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	keyboard, err = os.OpenFile("/dev/pts/"+strconv.Itoa(number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no pseudo terminals here: %v", err)
	}
	t.Cleanup(func() { _ = keyboard.Close() })
	if !term.IsTerminal(int(keyboard.Fd())) {
		t.Fatal("it is no terminal")
	}
	return person, keyboard
}

// echoes tells whether a terminal shows what is typed.
func echoes(t *testing.T, keyboard *os.File) bool {
	t.Helper()
	state, err := unix.IoctlGetTermios(int(keyboard.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	return state.Lflag&unix.ECHO != 0
}

// prompted has an element for each prompt that a person sees.
type prompted chan struct{}

func (p prompted) Write(text []byte) (int, error) {
	if strings.HasSuffix(string(text), ": ") {
		p <- struct{}{}
	}
	return len(text), nil
}

// TestSecretsAreNotShownAtATerminal types secrets, each as soon as it is asked for: an echo would be on the screen and in
// what records it.
func TestSecretsAreNotShownAtATerminal(t *testing.T) {
	const pan, password = "9999990000000014", "hunter2"
	for _, c := range []struct {
		name  string
		typed []string
		read  func(g *globals, file string) (string, error)
		want  string
	}{
		{"card number", []string{pan}, func(g *globals, file string) (string, error) {
			got, err := g.readPAN(file)
			return got.Reveal(), err
		}, pan},
		{"cards", []string{pan}, func(g *globals, file string) (string, error) {
			list, err := g.readCards(file, cardDefaults{expiry: "3012", currency: "EUR"})
			if err != nil {
				return "", err
			}
			return list[0].PAN.Reveal(), nil
		}, pan},
		{"component", []string{"0123456789ABCDEF"}, func(g *globals, file string) (string, error) {
			got, err := g.component(file)
			return strconv.Itoa(len(got.Reveal())), err
		}, "8"},
		{"password", []string{password, password}, (*globals).password, password},
	} {
		for _, file := range []string{"", "-"} {
			t.Run(c.name+" "+file, func(t *testing.T) {
				person, keyboard := pseudoTerminal(t)
				prompts := make(prompted, 2)
				g := &globals{stdin: keyboard, stdout: io.Discard, stderr: prompts}
				type result struct {
					got string
					err error
				}
				done := make(chan result, 1)
				go func() {
					got, err := c.read(g, file)
					done <- result{got, err}
				}()
				for _, line := range c.typed {
					select {
					case <-prompts:
					case r := <-done:
						t.Fatalf("it asks for nothing: %v", r.err)
					}
					for deadline := time.Now().Add(5 * time.Second); echoes(t, keyboard); time.Sleep(time.Millisecond) {
						if time.Now().After(deadline) {
							t.Fatal("the terminal shows what is typed")
						}
					}
					if _, err := person.WriteString(line + "\n"); err != nil {
						t.Fatal(err)
					}
				}
				r := <-done
				if r.err != nil || r.got != c.want {
					t.Fatalf("%q, %v", r.got, r.err)
				}
			})
		}
	}
}
