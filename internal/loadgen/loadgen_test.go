package loadgen_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"io"
	"maps"
	"net"
	"testing"

	"meridian/internal/loadgen"
)

func sale() loadgen.Message {
	return loadgen.Message{MTI: "0200", Fields: map[int]string{
		2: "6217120000000000017", 3: "000000", 4: "000000001234", 11: "000001", 41: "10000001", 42: "104110000000001",
	}}
}

// The bytes are written by hand after ISO 8583:1987.
func TestFrames(t *testing.T) {
	const mac = "\x01\x23\x45\x67\x89\xAB\xCD\xEF"
	sealed := sale().But(64, mac)
	nac := "0045" + "6000010000" + "0200" + "70200000" + "00C00001" +
		"19" + "62171200000000000170" + "000000" + "000000001234" + "000001" +
		hex.EncodeToString([]byte("10000001104110000000001"+mac))
	ascii := "0200" + "7020000000C00001" + "19" + "6217120000000000017" + "000000" + "000000001234" + "000001" +
		"10000001104110000000001" + "0123456789ABCDEF"
	wantNAC, err := hex.DecodeString(nac)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		dialect loadgen.Dialect
		want    []byte
	}{
		{loadgen.NAC(), wantNAC},
		{loadgen.ASCII(), append([]byte{0, byte(len(ascii))}, ascii...)},
	} {
		got, err := c.dialect.Frame(sealed)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, c.want) {
			t.Errorf("%s wrote %x, want %x", c.dialect, got, c.want)
		}
		body := got[2:]
		if c.dialect == loadgen.NAC() {
			body = body[5:]
		}
		back, err := c.dialect.Read(body)
		if err != nil || back.MTI != "0200" || !maps.Equal(back.Fields, sealed.Fields) {
			t.Errorf("%s read %+v, %v", c.dialect, back, err)
		}
		if _, err := c.dialect.Read(body[:len(body)-1]); err == nil {
			t.Errorf("%s reads a message that is cut off", c.dialect)
		}
		if _, err := c.dialect.Read(append(body, 0)); err == nil {
			t.Errorf("%s reads on after the last field", c.dialect)
		}
	}
}

func TestFieldsAreChecked(t *testing.T) {
	for n, value := range map[int]string{4: "1234", 37: "too long for it", 128: "MAC"} {
		m := sale()
		m.Fields[n] = value
		if _, err := loadgen.NAC().Frame(m); err == nil {
			t.Errorf("field %d with %q is written", n, value)
		}
	}
}

// A peer answers in another order, with an answer too many, and hangs up.
func TestAnswersFindTheirRequests(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	dialect := loadgen.ASCII()
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		var request [2]byte
		for range 3 {
			if _, err := io.ReadFull(conn, request[:]); err != nil {
				return
			}
			if _, err := io.CopyN(io.Discard, conn, int64(request[0])<<8|int64(request[1])); err != nil {
				return
			}
		}
		for _, stan := range []string{"000002", "000001", "000009"} {
			frame, err := dialect.Frame(loadgen.Message{MTI: "0210", Fields: map[int]string{11: stan, 39: "00"}})
			if err != nil {
				return
			}
			if _, err := conn.Write(frame); err != nil {
				return
			}
		}
	}()
	line, err := loadgen.Dial(t.Context(), dialect, listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer line.Close()
	var calls []*loadgen.Call
	for _, stan := range []string{"000001", "000002", "000003"} {
		m := sale()
		m.Fields[11] = stan
		call, err := line.Send(m)
		if err != nil {
			t.Fatal(err)
		}
		calls = append(calls, call)
	}
	<-line.Ended()
	for i, want := range []int{1, 0} {
		answer, err := calls[i].Wait(t.Context())
		if err != nil || answer.Code() != "00" || calls[i].Sent != i || calls[i].Answered != want {
			t.Errorf("call %d: %+v, %v, sent %d, answered %d", i, answer, err, calls[i].Sent, calls[i].Answered)
		}
	}
	if answer, err := calls[2].Wait(t.Context()); err == nil {
		t.Errorf("the third call was answered %+v", answer)
	}
	if strays := line.Strays(); len(strays) != 1 || strays[0].Field(11) != "000009" {
		t.Errorf("strays: %+v", strays)
	}
	if _, err := line.Send(sale()); err == nil {
		t.Error("a line that has ended takes a request")
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := new(loadgen.Call).Wait(ended); err == nil {
		t.Error("a wait outlives its context")
	}
}
