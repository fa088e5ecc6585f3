package main

import (
	"fmt"
	"net"
	"strconv"

	"meridian/internal/capture"
)

// captured are the streams of a capture that carry messages. What others carry is none of ours, and is counted.
func (o *decodeOptions) captured(g *globals, content []byte) ([]decodeInput, error) {
	streams, err := capture.Read(content)
	if err != nil {
		return nil, usagef("%w", err)
	}
	var inputs []decodeInput
	other := 0
	for _, s := range streams {
		if o.port != 0 {
			if port := strconv.Itoa(int(o.port)); portOf(s.From) != port && portOf(s.To) != port {
				continue
			}
		} else if !carriesMessages(s.Bytes, o.length) {
			other++
			continue
		}
		inputs = append(inputs, decodeInput{data: s.Bytes, stream: s})
	}
	if other > 0 {
		_, _ = fmt.Fprintf(g.stderr, "%d of %d streams carry something else and are passed over\n", other, len(streams))
	}
	if len(inputs) == 0 {
		return nil, usagef("the capture has no messages in its %d streams (--port takes a connection whatever it carries)", len(streams))
	}
	return inputs, nil
}

// carriesMessages tells whether a stream's first frame is a message.
func carriesMessages(data []byte, length string) bool {
	frames, _, err := cutFrames(data, length)
	return err == nil && len(frames) > 0 && frames[0].err == nil && startsWithType(frames[0].payload)
}

func portOf(address string) string {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return ""
	}
	return port
}

// captured says where and when a capture has a message from: when its last byte was there.
func (d *decoded) captured(input decodeInput, frame cutFrame) {
	if input.stream == nil {
		return
	}
	d.From, d.To, d.At = input.stream.From, input.stream.To, input.stream.At(frame.end)
}
