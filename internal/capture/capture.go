package capture

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
	"github.com/gopacket/gopacket/reassembly"
)

// Bounds of a capture.
const (
	// MaxBytes of a file: hours of a terminal's line, and little enough to hold.
	MaxBytes = 256 << 20
	// maxStreams that are kept, counted per direction and from gap to gap.
	maxStreams = 10_000
	// maxBufferedPages wait for a packet that came late, of all connections and of
	// each: pages have 1900 bytes.
	maxBufferedPages, maxBufferedPagesOfOne = 10_000, 1000
)

// Stream is what one side of a connection sent, without a gap.
type Stream struct {
	From, To string // host:port
	Bytes    []byte
	marks    []mark
}

// mark is when the bytes up to an offset were there.
type mark struct {
	end int
	at  time.Time
}

// At is when the byte before the offset was captured.
func (s *Stream) At(offset int) time.Time {
	i, _ := slices.BinarySearchFunc(s.marks, offset, func(m mark, offset int) int { return m.end - offset })
	if i >= len(s.marks) {
		return time.Time{}
	}
	return s.marks[i].at
}

// Is tells whether a file begins as a capture does.
func Is(content []byte) bool {
	if len(content) < 4 {
		return false
	}
	switch binary.BigEndian.Uint32(content) {
	case 0xA1B2C3D4, 0xD4C3B2A1, 0xA1B23C4D, 0x4D3CB2A1, 0x0A0D0D0A:
		return true
	default:
		return false
	}
}

// source of packets: classic or pcapng.
type source interface {
	ReadPacketData() ([]byte, gopacket.CaptureInfo, error)
	LinkType() layers.LinkType
}

func open(content []byte) (source, error) {
	if binary.BigEndian.Uint32(content) == 0x0A0D0D0A {
		return pcapgo.NewNgReader(bytes.NewReader(content), pcapgo.NgReaderOptions{SkipUnknownVersion: true}) //nolint:wrapcheck // by Read
	}
	return pcapgo.NewReader(bytes.NewReader(content)) //nolint:wrapcheck // by Read
}

// Read puts the TCP streams of a capture together, in the order in which they
// began. A file that ends in the middle gives what is there. Packets of anything
// but TCP are passed over.
func Read(content []byte) ([]*Stream, error) {
	if !Is(content) {
		return nil, errors.New("neither pcap nor pcapng")
	}
	if len(content) > MaxBytes {
		return nil, fmt.Errorf("a capture of more than %d MiB: cut it first (editcap, tcpdump -r … port …)", MaxBytes>>20)
	}
	packets, err := open(content)
	if err != nil {
		return nil, fmt.Errorf("read the capture: %w", err)
	}
	var streams collection
	assembler := reassembly.NewAssembler(reassembly.NewStreamPool(&streams))
	assembler.MaxBufferedPagesTotal, assembler.MaxBufferedPagesPerConnection = maxBufferedPages, maxBufferedPagesOfOne
	p := newParser(packets.LinkType())
	if p == nil {
		return nil, fmt.Errorf("a capture of link type %s: Ethernet, loopback, Linux's any and raw IP can be read", packets.LinkType())
	}
	for {
		data, info, err := packets.ReadPacketData()
		if err != nil {
			if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) && len(streams.all) == 0 {
				return nil, fmt.Errorf("read the capture: %w", err)
			}
			break
		}
		if flow, tcp := p.parse(data); tcp != nil {
			assembler.AssembleWithContext(flow, tcp, seenAt(info.Timestamp))
		}
	}
	assembler.FlushAll()
	if streams.full {
		return nil, fmt.Errorf("a capture of more than %d streams: cut it first", maxStreams)
	}
	return streams.all, nil
}

// parser takes the layers of one packet apart.
type parser struct {
	decoder *gopacket.DecodingLayerParser
	bare6   *gopacket.DecodingLayerParser // of IPv6 without a link layer; nil where there is one
	found   []gopacket.LayerType
	ip4     layers.IPv4
	ip6     layers.IPv6
	tcp     layers.TCP
}

func newParser(link layers.LinkType) *parser {
	first, known := map[layers.LinkType]gopacket.LayerType{
		layers.LinkTypeEthernet: layers.LayerTypeEthernet, layers.LinkTypeLinuxSLL: layers.LayerTypeLinuxSLL,
		layers.LinkTypeLinuxSLL2: layers.LayerTypeLinuxSLL2, layers.LinkTypeNull: layers.LayerTypeLoopback, layers.LinkTypeLoop: layers.LayerTypeLoopback,
		layers.LinkTypeRaw: layers.LayerTypeIPv4, layers.LinkTypeIPv4: layers.LayerTypeIPv4, layers.LinkTypeIPv6: layers.LayerTypeIPv4,
		12: layers.LayerTypeIPv4, // raw IP as older files number it
	}[link]
	if !known {
		return nil
	}
	p := &parser{}
	p.decoder = gopacket.NewDecodingLayerParser(first, new(layers.Ethernet), new(layers.Dot1Q), new(layers.LinuxSLL), new(layers.LinuxSLL2),
		new(layers.Loopback), &p.ip4, &p.ip6, &p.tcp)
	p.decoder.IgnoreUnsupported = true
	if first == layers.LayerTypeIPv4 {
		p.bare6 = gopacket.NewDecodingLayerParser(layers.LayerTypeIPv6, &p.ip4, &p.ip6, &p.tcp)
		p.bare6.IgnoreUnsupported = true
	}
	return p
}

// parse returns the packet's TCP segment, or nil.
func (p *parser) parse(data []byte) (gopacket.Flow, *layers.TCP) {
	decoder := p.decoder
	if p.bare6 != nil && len(data) > 0 && data[0]>>4 == 6 {
		decoder = p.bare6
	}
	if err := decoder.DecodeLayers(data, &p.found); err != nil && len(p.found) == 0 {
		return gopacket.Flow{}, nil
	}
	var flow gopacket.Flow
	for _, layer := range p.found {
		switch layer {
		case layers.LayerTypeIPv4:
			if p.ip4.Flags&layers.IPv4MoreFragments != 0 || p.ip4.FragOffset != 0 {
				return gopacket.Flow{}, nil // the rest of the segment is elsewhere: a gap
			}
			flow = p.ip4.NetworkFlow()
		case layers.LayerTypeIPv6:
			flow = p.ip6.NetworkFlow()
		case layers.LayerTypeTCP:
			return flow, &p.tcp
		}
	}
	return gopacket.Flow{}, nil
}

// seenAt is when a packet was captured.
type seenAt time.Time

// GetCaptureInfo implements reassembly's context.
func (s seenAt) GetCaptureInfo() gopacket.CaptureInfo {
	return gopacket.CaptureInfo{Timestamp: time.Time(s)}
}

// collection makes streams of connections and keeps them.
type collection struct {
	all  []*Stream
	full bool
}

// New implements reassembly's factory.
func (c *collection) New(flow, _ gopacket.Flow, tcp *layers.TCP, _ reassembly.AssemblerContext) reassembly.Stream {
	from := net.JoinHostPort(flow.Src().String(), strconv.Itoa(int(tcp.SrcPort)))
	to := net.JoinHostPort(flow.Dst().String(), strconv.Itoa(int(tcp.DstPort)))
	return &connection{into: c, from: from, to: to}
}

// connection has one stream for each direction, and another one behind each gap.
type connection struct {
	into     *collection
	from, to string
	current  [2]*Stream
}

// Accept implements reassembly's stream. A capture may begin in the middle of a
// connection: what it has is taken from there.
func (c *connection) Accept(
	_ *layers.TCP, _ gopacket.CaptureInfo, _ reassembly.TCPFlowDirection, _ reassembly.Sequence, start *bool, _ reassembly.AssemblerContext,
) bool {
	*start = true
	return !c.into.full
}

// ReassembledSG implements reassembly's stream.
func (c *connection) ReassembledSG(sg reassembly.ScatterGather, when reassembly.AssemblerContext) {
	direction, _, _, skipped := sg.Info()
	length, _ := sg.Lengths()
	if length == 0 {
		return
	}
	side := 0
	if direction == reassembly.TCPDirServerToClient {
		side = 1
	}
	s := c.current[side]
	if s == nil || skipped > 0 {
		if len(c.into.all) >= maxStreams {
			c.into.full = true
			return
		}
		s = &Stream{From: c.from, To: c.to}
		if side == 1 {
			s.From, s.To = c.to, c.from
		}
		c.current[side] = s
		c.into.all = append(c.into.all, s)
	}
	s.Bytes = append(s.Bytes, sg.Fetch(length)...)
	if when != nil { // of the packet that made the bytes whole
		s.marks = append(s.marks, mark{len(s.Bytes), when.GetCaptureInfo().Timestamp.UTC()})
	}
}

// ReassemblyComplete implements reassembly's stream.
func (c *connection) ReassemblyComplete(reassembly.AssemblerContext) bool { return true }
