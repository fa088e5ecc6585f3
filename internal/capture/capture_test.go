package capture

import (
	"bytes"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// segment is one packet: from the terminal, or back.
type segment struct {
	back     bool
	seq      uint32
	syn, fin bool
	text     string
}

// packet makes a segment's bytes for a link type; six takes IPv6.
func packet(t testing.TB, link layers.LinkType, six bool, s segment) []byte {
	t.Helper()
	tcp := &layers.TCP{SrcPort: 40000, DstPort: 8583, Seq: s.seq, SYN: s.syn, FIN: s.fin, ACK: true, Window: 1000}
	from, to := net.IP{10, 0, 0, 1}, net.IP{10, 0, 0, 2}
	if six {
		from, to = net.ParseIP("fd00::1"), net.ParseIP("fd00::2")
	}
	if s.back {
		from, to = to, from
		tcp.SrcPort, tcp.DstPort = tcp.DstPort, tcp.SrcPort
	}
	var network gopacket.SerializableLayer
	var kind layers.EthernetType
	if six {
		ip := &layers.IPv6{Version: 6, HopLimit: 64, NextHeader: layers.IPProtocolTCP, SrcIP: from, DstIP: to}
		network, kind = ip, layers.EthernetTypeIPv6
		if err := tcp.SetNetworkLayerForChecksum(ip); err != nil {
			t.Fatal(err)
		}
	} else {
		ip := &layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolTCP, SrcIP: from, DstIP: to}
		network, kind = ip, layers.EthernetTypeIPv4
		if err := tcp.SetNetworkLayerForChecksum(ip); err != nil {
			t.Fatal(err)
		}
	}
	all := []gopacket.SerializableLayer{network, tcp, gopacket.Payload(s.text)}
	switch link {
	case layers.LinkTypeEthernet:
		all = append([]gopacket.SerializableLayer{&layers.Ethernet{
			SrcMAC: net.HardwareAddr{2, 0, 0, 0, 0, 1}, DstMAC: net.HardwareAddr{2, 0, 0, 0, 0, 2}, EthernetType: kind,
		}}, all...)
	case layers.LinkTypeNull:
		family := layers.ProtocolFamilyIPv4
		if six {
			family = layers.ProtocolFamilyIPv6Linux
		}
		all = append([]gopacket.SerializableLayer{&layers.Loopback{Family: family}}, all...)
	default:
	}
	b := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(b, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, all...); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// pcap is a classic capture, a packet each millisecond.
func pcap(t testing.TB, link layers.LinkType, six bool, segments ...segment) []byte {
	t.Helper()
	var b bytes.Buffer
	w := pcapgo.NewWriter(&b)
	if err := w.WriteFileHeader(65536, link); err != nil {
		t.Fatal(err)
	}
	for i, s := range segments {
		data := packet(t, link, six, s)
		info := gopacket.CaptureInfo{Timestamp: noon.Add(time.Duration(i) * time.Millisecond), CaptureLength: len(data), Length: len(data)}
		if err := w.WritePacket(info, data); err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}

func ng(t testing.TB, link layers.LinkType, segments ...segment) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := pcapgo.NewNgWriter(&b, link)
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range segments {
		data := packet(t, link, false, s)
		info := gopacket.CaptureInfo{Timestamp: noon.Add(time.Duration(i) * time.Millisecond), CaptureLength: len(data), Length: len(data)}
		if err := w.WritePacket(info, data); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// talk is a connection from its beginning to its end.
var talk = []segment{
	{seq: 99, syn: true},
	{back: true, seq: 499, syn: true},
	{seq: 100, text: "hel"},
	{seq: 103, text: "lo"},
	{back: true, seq: 500, text: "world"},
	{seq: 105, fin: true},
	{back: true, seq: 505, fin: true},
}

func told(streams []*Stream) string {
	var list []string
	for _, s := range streams {
		list = append(list, s.From+">"+s.To+"="+string(s.Bytes))
	}
	return strings.Join(list, " ")
}

func TestConnectionsAreReadFromEveryKindOfCapture(t *testing.T) {
	const want = "10.0.0.1:40000>10.0.0.2:8583=hello 10.0.0.2:8583>10.0.0.1:40000=world"
	six := strings.NewReplacer("10.0.0.1:", "[fd00::1]:", "10.0.0.2:", "[fd00::2]:").Replace(want)
	for name, c := range map[string]struct {
		content []byte
		want    string
	}{
		"ethernet":    {pcap(t, layers.LinkTypeEthernet, false, talk...), want},
		"ethernet 6":  {pcap(t, layers.LinkTypeEthernet, true, talk...), six},
		"loopback":    {pcap(t, layers.LinkTypeNull, false, talk...), want},
		"loopback 6":  {pcap(t, layers.LinkTypeNull, true, talk...), six},
		"raw":         {pcap(t, layers.LinkTypeRaw, false, talk...), want},
		"raw 6":       {pcap(t, layers.LinkTypeRaw, true, talk...), six},
		"pcapng":      {ng(t, layers.LinkTypeEthernet, talk...), want},
		"no greeting": {pcap(t, layers.LinkTypeEthernet, false, talk[2:5]...), want},
		"out of order": {
			pcap(t, layers.LinkTypeEthernet, false, talk[0], talk[1], talk[3], talk[2], talk[3], talk[4]), want,
		},
		"sent twice": {pcap(t, layers.LinkTypeEthernet, false, talk[0], talk[1], talk[2], talk[2], talk[3], talk[3], talk[4]), want},
		"a gap": {
			pcap(t, layers.LinkTypeEthernet, false, talk[0], talk[1], talk[2], segment{seq: 110, text: "later"}, segment{seq: 115, text: "on"}),
			"10.0.0.1:40000>10.0.0.2:8583=hel 10.0.0.1:40000>10.0.0.2:8583=lateron",
		},
	} {
		streams, err := Read(c.content)
		if got := told(streams); err != nil || got != c.want {
			t.Errorf("%s: %v: %s, want %s", name, err, got, c.want)
		}
	}
}

func TestBytesKnowWhenTheyCame(t *testing.T) {
	streams, err := Read(pcap(t, layers.LinkTypeEthernet, false, talk...))
	if err != nil || len(streams) != 2 {
		t.Fatal(err, told(streams))
	}
	for end, packet := range map[int]int{1: 2, 3: 2, 4: 3, 5: 3} {
		if got, want := streams[0].At(end), noon.Add(time.Duration(packet)*time.Millisecond); !got.Equal(want) {
			t.Errorf("byte %d came at %s, want %s", end, got, want)
		}
	}
	if !streams[0].At(6).IsZero() {
		t.Error("a byte that never came has a time")
	}
}

func TestWhatIsNoCapture(t *testing.T) {
	whole := pcap(t, layers.LinkTypeEthernet, false, talk...)
	for name, content := range map[string][]byte{
		"nothing": nil, "text": []byte("0200"), "only the magic": whole[:4],
		"another link": pcap(t, layers.LinkTypeIEEE802_11, false, talk...),
	} {
		if streams, err := Read(content); err == nil {
			t.Errorf("%s: %s", name, told(streams))
		}
	}
	if streams, err := Read(whole[:len(whole)-70]); err != nil || !strings.Contains(told(streams), "hello") {
		t.Errorf("a file that ends early: %v %s", err, told(streams))
	}
	if Is([]byte{0xA1}) || !Is(whole) || !slices.ContainsFunc([][]byte{ng(t, layers.LinkTypeEthernet)}, Is) {
		t.Error("captures are not told from other files")
	}
}

func FuzzRead(f *testing.F) {
	f.Add(pcap(f, layers.LinkTypeEthernet, false, talk...))
	f.Add(pcap(f, layers.LinkTypeRaw, true, talk...))
	f.Add(ng(f, layers.LinkTypeEthernet, talk...))
	f.Fuzz(func(t *testing.T, content []byte) {
		streams, err := Read(content)
		if err != nil {
			return
		}
		total := 0
		for _, s := range streams {
			total += len(s.Bytes)
		}
		if total > len(content) {
			t.Errorf("%d bytes out of %d", total, len(content))
		}
	})
}
