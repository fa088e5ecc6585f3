package host

import (
	"bufio"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"

	"meridian/host/wire"
)

// One connection, one request at a time: the cost of the socket and the session
// alone, both ends in this process.
func BenchmarkEcho(b *testing.B) {
	s := NewServer(Options{Handler: HandlerFunc(echo), Logger: slog.New(slog.DiscardHandler)})
	addr, err := s.Listen(ListenerConfig{Name: "bench", Address: "127.0.0.1:0", Framing: testFraming})
	if err != nil {
		b.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(b.Context()) }()
	conn, err := net.Dial("tcp", addr.String())
	if err != nil {
		b.Fatal(err)
	}
	request, err := testFraming.AppendFrame(nil, wire.Frame{TPDU: peerTPDU, Payload: []byte(strings.Repeat("x", 200))})
	if err != nil {
		b.Fatal(err)
	}
	in, answer := bufio.NewReader(conn), make([]byte, len(request))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := conn.Write(request); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(in, answer); err != nil {
			b.Fatal(err)
		}
	}
	b.StopTimer()
	_ = conn.Close()
	if err := s.Shutdown(b.Context()); err != nil {
		b.Fatal(err)
	}
	<-served
}
