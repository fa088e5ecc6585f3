// Package capture reads what tcpdump and Wireshark write, and puts the bytes of
// TCP connections together again.
//
//	pcap, pcapng ──▶ Read ──▶ link layer, IP, TCP ──▶ reassembly ──▶ []Stream, one per direction
//
// Decoding and reassembly are gopacket's, without libpcap.
//
// Invariants:
//
//   - A capture is bounded in bytes, connections and what is kept of each; nothing
//     in it makes this package panic or allocate without end.
//   - Bytes that the capture does not have are never made up: a stream ends before
//     a gap, and another one begins behind it.
package capture
