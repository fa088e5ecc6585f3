package main

import (
	"bytes"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"meridian/host/wire"
)

// captureOf is what tcpdump writes of two connections: a terminal's, of which every message comes in two packets, and one of
// something else.
func captureOf(t *testing.T, messages ...[]byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := pcapgo.NewWriter(&b)
	if err := w.WriteFileHeader(65536, layers.LinkTypeRaw); err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	write := func(from, to layers.TCPPort, seq uint32, payload []byte) {
		ip := &layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolTCP, SrcIP: net.IP{127, 0, 0, 1}, DstIP: net.IP{127, 0, 0, 1}}
		tcp := &layers.TCP{SrcPort: from, DstPort: to, Seq: seq, ACK: true, Window: 1000}
		if err := tcp.SetNetworkLayerForChecksum(ip); err != nil {
			t.Fatal(err)
		}
		packet := gopacket.NewSerializeBuffer()
		o := gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}
		if err := gopacket.SerializeLayers(packet, o, ip, tcp, gopacket.Payload(payload)); err != nil {
			t.Fatal(err)
		}
		at = at.Add(time.Millisecond)
		n := len(packet.Bytes())
		if err := w.WritePacket(gopacket.CaptureInfo{Timestamp: at, CaptureLength: n, Length: n}, packet.Bytes()); err != nil {
			t.Fatal(err)
		}
	}
	seq := [2]uint32{1000, 9000}
	for i, message := range messages {
		from, to := layers.TCPPort(40000), layers.TCPPort(8583)
		if i%2 == 1 {
			from, to = to, from
		}
		for _, part := range [][]byte{message[:7], message[7:]} {
			write(from, to, seq[i%2], part)
			seq[i%2] += uint32(len(part))
		}
	}
	write(40001, 5432, 1, []byte("\x00\x03\x00\x00user\x00meridian\x00\x00"))
	return b.Bytes()
}

func TestDecodeACapture(t *testing.T) {
	var frames [][]byte
	pan := "4111111111111111"
	for _, mti := range []string{"0200", "0210", "0200", "0210"} {
		m := wire.NewMessage(mti)
		m.Set(2, pan)
		m.Set(3, "000000")
		m.Set(11, "000001")
		payload, err := wire.NAC().Pack(m)
		if err != nil {
			t.Fatal(err)
		}
		framing := wire.Framing{Length: wire.LengthBinary, TPDU: true}
		frame, err := framing.AppendFrame(nil, wire.Frame{TPDU: wire.TPDU{0x60, 0, 1, 0, 0}, Payload: payload})
		if err != nil {
			t.Fatal(err)
		}
		frames = append(frames, frame)
	}
	file := filepath.Join(t.TempDir(), "terminal.pcap")
	if err := os.WriteFile(file, captureOf(t, frames...), 0o600); err != nil {
		t.Fatal(err)
	}
	o := call(t, "decode", "--file", file, "-o", "json").want(t, 0)
	messages := decodeJSON(t, o)
	var order []string
	for i, m := range messages {
		order = append(order, m.MTI)
		if i > 0 && m.At.Before(messages[i-1].At) || m.From == "" || m.Dialect != "nac" || m.TPDU != "6000010000" {
			t.Errorf("message %d: %+v", i, m)
		}
	}
	if got := strings.Join(order, " "); got != "0200 0210 0200 0210" || messages[0].To != "127.0.0.1:8583" || messages[1].To != "127.0.0.1:40000" {
		t.Errorf("read %s", got)
	}
	if strings.Contains(o.stdout, pan) || !strings.Contains(o.stdout, "411111") || !strings.Contains(o.stderr, "1 of 3 streams carry something else") {
		t.Errorf("%s\n%s", o.stdout, o.stderr)
	}
	call(t, "decode", "--file", file, "--port", "8583").want(t, 0, "127.0.0.1:40000 → 127.0.0.1:8583, 12:00:00.002000, input 1 at byte 0")
	call(t, "decode", "--file", file, "--port", "5432").want(t, exitFailure)
	call(t, "decode", "--file", file, "--port", "1").want(t, exitUsage, "the capture has no messages in its 3 streams")
	if err := os.WriteFile(file, []byte("\xA1\xB2\xC3\xD4 and nothing"), 0o600); err != nil {
		t.Fatal(err)
	}
	call(t, "decode", "--file", file).want(t, exitUsage, "read the capture")
}
