package console

import (
	"embed"
	"fmt"
	"net"
	"strings"
	"text/template"
)

//go:embed samples
var sampleFiles embed.FS

// sampleTemplates are programs that send one message and print its answer, each by
// itself and with nothing but its language's own library.
var sampleTemplates = template.Must(template.ParseFS(sampleFiles, "samples/*.txt"))

// program is a message as a program, or as plain digits.
type program struct{ Name, Label, File, Text string }

// samplesOf a frame for a host.
func samplesOf(frame []byte, address, what string) ([]program, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("address of the listener: %w", err)
	}
	data := struct{ What, Hex, Host, Port, Address string }{what, fmt.Sprintf("%X", frame), host, port, address}
	list := []program{
		{"go", "Go", "message.go", ""}, {"python", "Python", "message.py", ""}, {"java", "Java", "Message.java", ""}, {"node", "Node", "message.js", ""},
	}
	for i := range list {
		var b strings.Builder
		if err := sampleTemplates.ExecuteTemplate(&b, list[i].File+".txt", data); err != nil {
			return nil, fmt.Errorf("sample: %w", err)
		}
		list[i].Text = b.String()
	}
	return append(list, program{"hex", "Hex", "message.hex", data.Hex}), nil
}
