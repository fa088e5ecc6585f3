//go:build unix

package bench

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"time"
)

// line is one terminal's connection. It belongs to one goroutine.
type line struct {
	conn     net.Conn
	reader   *bufio.Reader
	terminal *terminal
	mac      sealer
	head     int // bytes before the MTI
	answer   []byte

	sale, authorization, completion, void, refund, reversal, echo *message
}

const (
	lineBuffer = 1 << 10
	// patience is a terminal's: an answer that takes longer ends the run.
	patience = 30 * time.Second
)

func dial(ctx context.Context, address string, t *terminal) (*line, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	l := &line{conn: conn, reader: bufio.NewReaderSize(conn, lineBuffer), terminal: t, answer: make([]byte, lineBuffer)}
	if t.session != nil {
		if err := l.asUnionPay(); err != nil {
			_ = conn.Close()
			return nil, err
		}
		return l, nil
	}
	if l.mac, err = newRetailMAC(t.key); err != nil {
		_ = conn.Close()
		return nil, err
	}
	l.head = len(tpdu)
	l.sale = saleLayout().template(t)
	l.authorization = layout{"0100", "000000", purchaseFields()}.template(t)
	l.completion = layout{"0220", "000000", referringFields()}.template(t)
	l.void = layout{"0200", "020000", referringFields()}.template(t)
	l.refund = layout{"0200", "200000", referringFields()}.template(t)
	l.reversal = layout{"0400", "000000", purchaseFields()}.template(t)
	l.echo = echoLayout().template(t)
	return l, nil
}

func (l *line) close() { _ = l.conn.Close() }

// lines are the connections of many terminals.
type lines []*line

func (l lines) close() {
	for _, one := range l {
		one.close()
	}
}

// ask sends a frame and reads its answer.
func (l *line) ask(frame []byte) (reply, error) {
	if err := l.send(frame); err != nil {
		return reply{}, err
	}
	return l.receive()
}

func (l *line) send(frame []byte) error {
	if _, err := l.conn.Write(frame); err != nil {
		return fmt.Errorf("send: %w", err)
	}
	return nil
}

func (l *line) receive() (reply, error) {
	var length [lengthSize]byte
	if _, err := io.ReadFull(l.reader, length[:]); err != nil {
		return reply{}, fmt.Errorf("receive: %w", err)
	}
	n := int(binary.BigEndian.Uint16(length[:]))
	if n > len(l.answer) {
		return reply{}, fmt.Errorf("receive: an answer of %d bytes", n)
	}
	if _, err := io.ReadFull(l.reader, l.answer[:n]); err != nil {
		return reply{}, fmt.Errorf("receive: %w", err)
	}
	return readReply(l.answer[:n], l.head)
}
