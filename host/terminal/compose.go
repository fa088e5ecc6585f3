package terminal

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/moov-io/iso8583"

	"meridian/host/wire"
)

// Composable are the operations that [Terminal.Compose] makes, in the order of a
// day: those of one message that needs nothing of the batch.
var Composable = []Operation{Echo, Logon, Sale, Preauth, Complete, Offline, Void, Refund, Cancel, Reversal, Balance}

// Address is where the host listens.
func (t *Terminal) Address() string { return t.address }

// Spec is the field table of the terminal's dialect.
func (t *Terminal) Spec() *wire.Spec { return t.spec }

// Compose builds a request and returns its whole frame, from the length on. It takes
// a STAN, and nothing is remembered: what is never sent cannot be reversed.
func (t *Terminal) Compose(r Request) ([]byte, error) {
	if err := t.checkComposed(&r); err != nil {
		return nil, err
	}
	if err := t.rehearse(&r); err != nil {
		return nil, err
	}
	var payload []byte
	err := t.store.update(func(st *state) error {
		d, err := t.draft(&r, st)
		if err != nil {
			return err
		}
		p, err := t.pack(d, st)
		if err == nil {
			payload = p.payload
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	frame, err := t.framing.AppendFrame(nil, wire.Frame{TPDU: t.tpdu, Header: t.header, Payload: payload})
	if err != nil {
		return nil, errorf(KindUsage, "frame the request: %w", err)
	}
	return frame, nil
}

func (t *Terminal) checkComposed(r *Request) error {
	if err := r.check(); err != nil {
		return first(err)
	}
	return t.permits(r)
}

// ReadFrame reads a whole frame as it travels. Errors name what is wrong with its
// length or headers.
func (t *Terminal) ReadFrame(frame []byte) (wire.Frame, error) {
	in := bufio.NewReader(bytes.NewReader(frame))
	read, err := t.framing.ReadFrame(in, nil)
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return read, errorf(KindUsage, "the frame is shorter than its length says")
	case err != nil:
		return read, errorf(KindUsage, "%w", err)
	case in.Buffered() > 0:
		return read, errorf(KindUsage, "the frame is %d bytes longer than its length says", in.Buffered())
	}
	return read, nil
}

// lengthBytes is the size of the length in every format that a sandbox uses.
const lengthBytes = 2

// Mend puts the right length in front of an edited frame and, where the message has
// a MAC field, the right MAC into it. The bytes in between stay as they are; a
// message that cannot be read gets its length alone.
func (t *Terminal) Mend(frame []byte) ([]byte, error) {
	if t.framing.Length != wire.LengthBinary || len(frame) < lengthBytes {
		return nil, errorf(KindUsage, "a frame begins with a length of two bytes")
	}
	mended := bytes.Clone(frame)
	n := len(mended) - lengthBytes
	if n > 0xFFFF {
		return nil, errorf(KindUsage, "the frame is longer than its length can say")
	}
	mended[0], mended[1] = byte(n>>8), byte(n)
	read, err := t.ReadFrame(mended)
	if err != nil {
		return nil, err
	}
	m, err := t.spec.Parse(read.Payload)
	if err != nil || !m.Has(primaryMAC) && !m.Has(secondaryMAC) {
		return mended, nil //nolint:nilerr // to send what cannot be read is a test, too
	}
	st, err := t.store.read()
	if err != nil {
		return nil, err
	}
	algorithm, err := t.sealing(st)
	if err != nil || algorithm == nil {
		return mended, err
	}
	size := macBytes
	if t.dialect == dialectASCII {
		size = 2 * macBytes // hex
	}
	at := len(mended) - size
	sum, err := algorithm.Sum(read.Payload[:len(read.Payload)-size])
	if err != nil {
		return nil, errorf(KindFailure, "compute the MAC: %w", err)
	}
	if size == macBytes {
		copy(mended[at:], sum[:])
	} else {
		copy(mended[at:], fmt.Sprintf("%X", sum[:]))
	}
	return mended, nil
}

// Delivery is what came of a frame that was sent as it was.
type Delivery struct {
	// Frame of the answer, from its length on; nil where none came.
	Frame []byte
	// Answer is what it holds; its payload is nil where it cannot be read.
	Answer wire.Frame
	// Problem says why there is no answer, or why it cannot be read.
	Problem string
	Elapsed time.Duration
	// Report judges the answer; nil for a message that is not the request's.
	Report *Report
}

// Deliver sends a frame over a connection of its own, byte for byte, and reads one
// answer. Where the frame is still a message of the request (its type, with a STAN)
// it is remembered as [Terminal.Run] does, and its answer is judged.
//
// Errors are of the request, and of a host that is not there; no answer is none.
func (t *Terminal) Deliver(ctx context.Context, r Request, frame []byte) (*Delivery, error) {
	d, serial, err := t.expect(&r, frame)
	if err != nil {
		return nil, err
	}
	delivery, err := t.post(ctx, frame)
	if err != nil || d == nil || delivery.Answer.Payload == nil {
		return delivery, err
	}
	answer := iso8583.NewMessage(t.spec.Moov())
	if _, err := t.spec.Parse(delivery.Answer.Payload); err != nil {
		delivery.Problem = "the answer cannot be read: " + err.Error()
	} else if answer.Unpack(bytes.Clone(delivery.Answer.Payload)) != nil { // whose error may quote values
		delivery.Problem = "moov's iso8583 cannot read the answer"
	}
	if delivery.Problem != "" {
		return delivery, nil
	}
	report := &Report{
		Operation: d.operation, Dialect: t.dialect, Address: t.address, TID: t.tid, MID: t.mid, STAN: d.fields[11],
		ElapsedMicroseconds: delivery.Elapsed.Microseconds(),
	}
	if err := t.judge(report, d, answer, delivery.Answer); err != nil {
		return nil, err
	}
	report.summarize()
	delivery.Report = report
	return delivery, t.conclude(d, serial, report)
}

// expect remembers what is about to be sent. It is nil for a frame that is not the
// request's.
func (t *Terminal) expect(r *Request, frame []byte) (d *draft, serial int64, err error) {
	m := t.parseFrame(frame)
	if m == nil {
		return nil, 0, nil // what is broken is sent as it is
	}
	r.STAN = m.Get(11)
	if err := t.checkComposed(r); err != nil {
		return nil, 0, nil //nolint:nilerr // bytes of somebody's own go as they are, whatever the form says
	}
	err = t.store.update(func(st *state) error {
		built, err := t.draft(r, st)
		if err != nil || built.mti != m.MTI() {
			return nil //nolint:nilerr // it was edited into another message
		}
		if !built.operation.unsealed() {
			if built.seal, err = t.sealing(st); err != nil {
				return err
			}
		}
		d = built
		// What counts is what goes.
		for _, field := range rememberedFields {
			delete(d.fields, field)
			if m.Has(field) {
				d.fields[field] = m.Get(field)
			}
		}
		serial = st.add(d.record(t))
		return nil
	})
	return d, serial, err
}

// parseFrame reads a frame's message; nil for what is none, or has no STAN.
func (t *Terminal) parseFrame(frame []byte) *wire.Message {
	read, err := t.ReadFrame(frame)
	if err != nil {
		return nil
	}
	m, err := t.spec.Parse(read.Payload)
	if err != nil || strings.TrimSpace(m.Get(11)) == "" {
		return nil
	}
	return m
}

// post sends bytes and reads one frame.
func (t *Terminal) post(ctx context.Context, frame []byte) (*Delivery, error) {
	ctx, cancel := context.WithTimeout(ctx, t.timeout)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", t.address)
	if err != nil {
		return nil, errorf(KindUnreachable, "connect to the host: %w", err)
	}
	defer conn.Close()
	deadline, _ := ctx.Deadline()
	if err := conn.SetDeadline(deadline); err != nil {
		return nil, errorf(KindFailure, "bound the exchange: %w", err)
	}
	begun := time.Now()
	if _, err := conn.Write(frame); err != nil {
		return &Delivery{Problem: "the host closed the connection before it had the whole frame"}, nil
	}
	var raw bytes.Buffer
	answer, err := t.framing.ReadFrame(bufio.NewReader(io.TeeReader(conn, &raw)), nil)
	delivery := &Delivery{Elapsed: time.Since(begun)}
	var timeout net.Error
	switch {
	case errors.As(err, &timeout) && timeout.Timeout():
		delivery.Problem = fmt.Sprintf("no answer within %s", t.timeout)
	case errors.Is(err, io.EOF):
		delivery.Problem = "the host closed the connection without an answer"
	case errors.Is(err, io.ErrUnexpectedEOF):
		delivery.Problem = "the host closed the connection within its answer"
	case err != nil:
		delivery.Problem = "the answer cannot be read: " + err.Error()
	default:
		delivery.Answer = answer
		delivery.Frame = raw.Bytes()[:min(raw.Len(), t.frameBytes(answer))] // without what came behind it
	}
	return delivery, nil
}

// frameBytes is how long a frame was as it travelled.
func (t *Terminal) frameBytes(f wire.Frame) int {
	n := lengthBytes + len(f.Payload)
	switch {
	case t.framing.Header:
		n += len(f.TPDU) + len(f.Header)
	case t.framing.TPDU:
		n += len(f.TPDU)
	}
	return n
}
