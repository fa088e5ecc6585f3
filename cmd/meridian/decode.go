package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"meridian/host/wire"
	"meridian/internal/capture"
)

// maxDecodeBytes bounds the text that decode reads: a day of one terminal is under 1 MiB of hex.
const maxDecodeBytes = 16 << 20

// decodeOptions are decode's flags.
type decodeOptions struct {
	dialect string
	length  string
	spec    string
	file    string
	port    uint16
}

// decodeInput is bytes to cut messages out of, and where a capture has them from.
type decodeInput struct {
	data   []byte
	stream *capture.Stream // nil for digits
}

// decoded is one message as people may see it. It never holds what must not be shown.
type decoded struct {
	Input  int    `json:"input"`  // counts from 1
	Offset int    `json:"offset"` // of the frame in its input, in bytes
	Bytes  int    `json:"bytes"`  // of the message, from the MTI
	Length string `json:"length"`
	// From, To and At are where and when a capture has it from.
	From    string         `json:"from,omitempty"`
	To      string         `json:"to,omitempty"`
	At      time.Time      `json:"at,omitzero"`
	TPDU    string         `json:"tpdu,omitempty"`
	Header  string         `json:"header,omitempty"`
	Dialect string         `json:"dialect,omitempty"`
	MTI     string         `json:"mti,omitempty"`
	Fields  []decodedField `json:"fields,omitempty"`
	Error   *decodeError   `json:"error,omitempty"`
}

type decodedField struct {
	Field  int    `json:"field"`
	Name   string `json:"name"`
	Value  string `json:"value"`
	Masked bool   `json:"masked,omitempty"`
}

// decodeError says where a message is wrong, and never with which value.
type decodeError struct {
	Field  *int   `json:"field,omitempty"`  // 0 is the MTI, 1 the bitmaps; absent where the fault is in no field
	Offset *int   `json:"offset,omitempty"` // in bytes from the MTI; absent where the frame is at fault
	Reason string `json:"reason"`
}

func newDecodeCommand(g *globals) *cobra.Command {
	var o decodeOptions
	command := &cobra.Command{
		Use:   "decode [HEX]...",
		Short: "Show ISO 8583 messages field by field, with card data masked",
		Long: `Shows ISO 8583 messages field by field, with card data masked.

A capture of tcpdump or Wireshark (pcap, pcapng) is read as it is, from --file or standard input: its TCP connections are put
together again, and their messages shown in the order in which they passed. Connections that carry nothing of the kind, such as
encrypted ones, are counted and passed over; with --port those of other ports are, and nothing else is.

Otherwise the messages are hexadecimal digits, from the arguments, --file or standard input; space, colons and 0x between them do not
matter. Several frames may follow each other. Each argument is an input of its own, and so is what stands between empty lines
of a text; without a length in front of the messages (--length none) each line is.`,
		Example: `  meridian decode 001D6000098053080020200000008000009200000000023132333435363738
  meridian decode --dialect ascii --length none --file messages.txt --output json
  meridian decode --file terminal.pcap --port 8583`,
	}
	flags := command.Flags()
	flags.StringVar(&o.dialect, "dialect", "", "nac, ascii or unionpay (default: by the header, the way the message type is written, and what parses)")
	flags.StringVar(&o.length, "length", lengthAuto,
		"length in front of each message: binary, bcd, ascii, none, or auto for the one that fits")
	flags.StringVar(&o.spec, "spec", "", "JSON file with the field table to use instead of the dialect's")
	flags.StringVar(&o.file, "file", "", "file with the hexadecimal digits, or a capture (pcap, pcapng)")
	flags.Uint16Var(&o.port, "port", 0, "TCP port of the host in a capture (default any)")
	command.RunE = func(c *cobra.Command, arguments []string) error {
		spec, err := o.newSpec()
		if err != nil {
			return err
		}
		inputs, err := o.inputs(c.Context(), g, arguments)
		if err != nil {
			return err
		}
		messages, err := decodeAll(inputs, o.length, spec)
		if err != nil {
			return withExit(exitUsage, err)
		}
		if err := g.print(messages, func(w io.Writer) { writeDecoded(w, messages) }); err != nil {
			return err
		}
		return wrongMessages(messages)
	}
	return command
}

// newSpec returns the field table for a frame.
func (o *decodeOptions) newSpec() (func(frame cutFrame) *wire.Spec, error) {
	named := map[string]*wire.Spec{wire.NameNAC: wire.NAC(), wire.NameASCII87: wire.ASCII87(), wire.NameUnionPay: wire.UnionPay()}[o.dialect]
	if o.dialect != "" && named == nil {
		return nil, usagef("--dialect %q: it is %s, %s or %s", o.dialect, wire.NameNAC, wire.NameASCII87, wire.NameUnionPay)
	}
	if o.spec != "" {
		if o.dialect != "" {
			return nil, usagef("--spec takes the place of --dialect: give one of them")
		}
		file, err := os.Open(o.spec)
		if err != nil {
			return nil, withExit(exitConfiguration, fmt.Errorf("read field table: %w", err))
		}
		defer file.Close()
		custom, err := wire.LoadSpec("", file)
		if err != nil {
			return nil, withExit(exitConfiguration, fmt.Errorf("read field table %s: %w", o.spec, err))
		}
		return func(cutFrame) *wire.Spec { return custom }, nil
	}
	if named != nil {
		return func(cutFrame) *wire.Spec { return named }, nil
	}
	return likelySpec, nil
}

// likelySpec is the field table that a frame looks to be of. Without an application header two dialects look alike, and
// few messages parse in both.
func likelySpec(frame cutFrame) *wire.Spec {
	switch {
	case frame.header != "":
		return wire.UnionPay()
	case isASCIIType(frame.payload):
		return wire.ASCII87()
	}
	if _, err := wire.NAC().Parse(frame.payload); err != nil {
		if _, err := wire.UnionPay().Parse(frame.payload); err == nil {
			return wire.UnionPay()
		}
	}
	return wire.NAC()
}

// inputs reads the bytes to decode.
func (o *decodeOptions) inputs(ctx context.Context, g *globals, arguments []string) (inputs []decodeInput, err error) {
	texts := arguments
	switch {
	case len(arguments) > 0 && o.file != "":
		return nil, usagef("give the digits as arguments or by --file, not both")
	case len(arguments) == 0:
		content, err := o.read(ctx, g.stdin)
		if err != nil {
			return nil, err
		}
		if capture.Is(content) {
			return o.captured(g, content)
		}
		texts = splitInputs(string(content), o.length)
	}
	for i, text := range texts {
		data, err := wire.ParseHex(text)
		if err != nil {
			return nil, usagef("input %d: %w", i+1, err)
		}
		if len(data) > 0 {
			inputs = append(inputs, decodeInput{data: data})
		}
	}
	if len(inputs) == 0 {
		return nil, usagef("nothing to decode: give hexadecimal digits as arguments, by --file or on standard input")
	}
	return inputs, nil
}

func (o *decodeOptions) read(ctx context.Context, stdin io.Reader) ([]byte, error) {
	source := stdin
	if o.file != "" {
		file, err := os.Open(o.file)
		if err != nil {
			return nil, fmt.Errorf("read messages: %w", err)
		}
		defer file.Close()
		source = file
	}
	type outcome struct {
		content []byte
		err     error
	}
	read := make(chan outcome, 1)
	go func() { // a terminal's read cannot be interrupted; the goroutine ends with the process
		buffered, most := bufio.NewReader(source), int64(maxDecodeBytes)
		if magic, err := buffered.Peek(4); err == nil && capture.Is(magic) {
			most = capture.MaxBytes
		}
		content, err := io.ReadAll(io.LimitReader(buffered, most+1))
		read <- outcome{content, err}
	}()
	select {
	case <-ctx.Done():
		return nil, fmt.Errorf("read messages: %w", ctx.Err())
	case o := <-read:
		switch {
		case o.err != nil:
			return nil, fmt.Errorf("read messages: %w", o.err)
		case len(o.content) > maxDecodeBytes && !capture.Is(o.content):
			return nil, usagef("more than %d MiB of text: decode it in parts", maxDecodeBytes>>20)
		}
		return o.content, nil
	}
}

// splitInputs cuts a text where one input ends and the next begins. Lengths tell where a message ends, so lines may break
// it anywhere; without lengths only the lines can.
func splitInputs(text, length string) []string {
	text = strings.ReplaceAll(text, "\r\n", "\n")
	if length == lengthNone {
		return strings.Split(text, "\n")
	}
	var inputs []string
	for block := range strings.SplitSeq(text, "\n\n") {
		// A file with one message per line reads as well when the lines' own lengths fit.
		lines := strings.Split(strings.Trim(block, "\n"), "\n")
		if length == lengthAuto && len(lines) > 1 && eachIsWhole(lines) {
			inputs = append(inputs, lines...)
			continue
		}
		inputs = append(inputs, block)
	}
	return inputs
}

// eachIsWhole tells whether every line is an input by itself: frames that reach to its end, or a message without length.
func eachIsWhole(lines []string) bool {
	for _, line := range lines {
		data, err := wire.ParseHex(line)
		if err != nil || len(data) == 0 {
			return false
		}
		frames, _, err := cutFrames(data, lengthAuto)
		if err != nil || frames[len(frames)-1].err != nil {
			return false
		}
	}
	return true
}

func decodeAll(inputs []decodeInput, length string, spec func(cutFrame) *wire.Spec) ([]decoded, error) {
	var messages []decoded
	for i, input := range inputs {
		frames, used, err := cutFrames(input.data, length)
		if err != nil {
			return nil, err
		}
		for _, frame := range frames {
			message := decodeFrame(frame, spec)
			message.Input, message.Length = i+1, used
			message.captured(input, frame)
			messages = append(messages, message)
		}
	}
	slices.SortStableFunc(messages, func(a, b decoded) int { return a.At.Compare(b.At) }) // those of a capture as they passed
	return messages, nil
}

func decodeFrame(frame cutFrame, specOf func(cutFrame) *wire.Spec) decoded {
	d := decoded{Offset: frame.offset, Bytes: len(frame.payload), TPDU: frame.tpdu, Header: frame.header}
	if frame.err != nil {
		d.Error = &decodeError{Reason: frame.err.Error()}
		return d
	}
	spec := specOf(frame)
	d.Dialect = spec.Name()
	message, err := spec.Parse(frame.payload)
	if err != nil {
		d.Error = &decodeError{Reason: err.Error()}
		if parseError, ok := errors.AsType[*wire.ParseError](err); ok {
			d.MTI = parseError.MTI
			d.Error = &decodeError{Offset: &parseError.Offset, Reason: parseError.Reason}
			if parseError.Field != wire.NoField {
				d.Error.Field = &parseError.Field
			}
		}
		return d
	}
	d.MTI = message.MTI()
	for _, f := range spec.MaskedFields(message) {
		d.Fields = append(d.Fields, decodedField{Field: f.Field, Name: f.Name, Value: f.Value, Masked: f.Hidden})
	}
	return d
}

// wrongMessages is an error when a message could not be decoded.
func wrongMessages(messages []decoded) error {
	wrong := 0
	for _, message := range messages {
		if message.Error != nil {
			wrong++
		}
	}
	if wrong == 0 {
		return nil
	}
	return fmt.Errorf("%d of %d messages could not be decoded", wrong, len(messages))
}

func writeDecoded(w io.Writer, messages []decoded) {
	for i, d := range messages {
		if i > 0 {
			_, _ = fmt.Fprintln(w)
		}
		mti := d.MTI
		if mti == "" {
			mti = "????"
		}
		_, _ = fmt.Fprintf(w, "%s  %s\n", mti, d.head())
		for _, f := range d.Fields {
			_, _ = fmt.Fprintf(w, "  F%-3d  %-38s  %s\n", f.Field, f.Name, f.Value)
		}
		if d.Error != nil {
			_, _ = fmt.Fprintf(w, "  error  %s\n", d.Error)
		}
	}
}

// head says how a message travelled.
func (d *decoded) head() string {
	parts := []string{fmt.Sprintf("%d bytes", d.Bytes)}
	if d.Dialect != "" {
		parts = append([]string{d.Dialect}, parts...)
	}
	if d.TPDU != "" {
		parts = append(parts, "TPDU "+d.TPDU)
	}
	if d.Header != "" {
		parts = append(parts, "header "+d.Header)
	}
	if d.Length != lengthNone {
		parts = append(parts, d.Length+" length")
	}
	if d.From != "" {
		parts = append(parts, d.From+" → "+d.To)
	}
	if !d.At.IsZero() {
		parts = append(parts, d.At.Format("15:04:05.000000"))
	}
	return strings.Join(append(parts, fmt.Sprintf("input %d at byte %d", d.Input, d.Offset)), ", ")
}

func (e *decodeError) String() string {
	var place []string
	if e.Field != nil {
		switch *e.Field {
		case 0:
			place = append(place, "MTI")
		case 1:
			place = append(place, "bitmap")
		default:
			place = append(place, fmt.Sprintf("F%d", *e.Field))
		}
	}
	if e.Offset != nil {
		place = append(place, fmt.Sprintf("byte %d from the MTI", *e.Offset))
	}
	if len(place) == 0 {
		return e.Reason
	}
	return strings.Join(place, ", ") + ": " + e.Reason
}
