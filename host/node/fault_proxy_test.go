package node_test

import (
	"bytes"
	"net"
	"net/url"
	"sync"
	"testing"
	"time"
)

// proxy stands between a host and Postgres and hurts what passes.
//
//	host ⇄ link ⇄ Postgres
//
//	arrested  from a COMMIT on, what the host sends waits until the thaw: what
//	          was loaded stays locked, and what was to be stored arrives late
//	refusing  links are closed, and new ones too
//	cutting   a link is closed instead of handing on "COMMIT done"
type proxy struct {
	t        testing.TB
	listener net.Listener
	target   string
	url      string
	done     sync.WaitGroup

	mu       sync.Mutex
	links    map[*link]struct{}
	refusing bool
	closed   bool
	cuts     int           // answers to COMMIT still to be swallowed
	afterCut func()        // called when one was
	latency  time.Duration // of every chunk in each direction
	arrests  int           // COMMITs still to be arrested
	arrested []*link       // links that hold one, the first to be held first
	// statement is the name under which the host prepared its COMMIT: the driver
	// makes it out of the text, so that it is the same on every connection.
	statement []byte
}

type link struct {
	host, database net.Conn
	thawed         chan struct{} // closed while bytes may pass
}

func newProxy(t testing.TB, databaseURL string) *proxy {
	t.Helper()
	u, err := url.Parse(databaseURL)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{t: t, listener: listener, target: u.Host, links: map[*link]struct{}{}}
	u.Host = listener.Addr().String()
	p.url = u.String()
	p.done.Go(p.accept)
	t.Cleanup(p.close)
	return p
}

func (p *proxy) close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.thaw()
	p.refuse(true)
	_ = p.listener.Close()
	p.done.Wait()
}

func (p *proxy) accept() {
	for {
		conn, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.done.Go(func() { p.serve(conn) })
	}
}

func (p *proxy) serve(conn net.Conn) {
	defer conn.Close()
	p.mu.Lock()
	if p.refusing || p.closed {
		p.mu.Unlock()
		return
	}
	p.mu.Unlock()
	database, err := net.Dial("tcp", p.target)
	if err != nil {
		return
	}
	defer database.Close()
	l := &link{host: conn, database: database, thawed: make(chan struct{})}
	close(l.thawed)
	p.mu.Lock()
	if p.refusing || p.closed {
		p.mu.Unlock()
		return
	}
	p.links[l] = struct{}{}
	p.mu.Unlock()
	var both sync.WaitGroup
	both.Go(func() { p.pump(l, l.database, l.host, false) })
	both.Go(func() { p.pump(l, l.host, l.database, true) })
	both.Wait()
	p.mu.Lock()
	delete(p.links, l)
	p.mu.Unlock()
}

// commitDone is Postgres's answer to a COMMIT that committed: CommandComplete.
var commitDone = []byte("C\x00\x00\x00\x0bCOMMIT\x00")

func (p *proxy) pump(l *link, to, from net.Conn, answers bool) {
	defer to.Close()
	buffer := make([]byte, 64<<10)
	var before []byte // the end of the chunk before, because an answer may be cut in two
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			if !answers {
				p.watch(l, buffer[:n])
			}
			p.hold(l, answers)
			if answers && bytes.Contains(append(before, buffer[:n]...), commitDone) && p.cut() {
				_ = l.host.Close()
				_ = l.database.Close()
				return
			}
			before = append(before[:0], buffer[max(0, n-len(commitDone)+1):n]...)
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// watch looks for a COMMIT on its way to the database.
func (p *proxy) watch(l *link, sent []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if at := bytes.Index(sent, []byte("\x00COMMIT\x00")); at >= 0 { // being prepared
		p.statement = bytes.Clone(sent[bytes.LastIndexByte(sent[:at], 0)+1 : at])
		if name := bytes.LastIndex(p.statement, []byte("stmt")); name >= 0 {
			p.statement = p.statement[name:]
		}
		return
	}
	if p.arrests == 0 || p.statement == nil || !bytes.Contains(sent, append(bytes.Clone(p.statement), 0)) {
		return
	}
	p.arrests--
	l.thawed = make(chan struct{})
	p.arrested = append(p.arrested, l)
}

// arrest holds links at their next COMMITs, count in all.
func (p *proxy) arrest(count int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.arrests = count
}

// hold waits while the link is arrested, and for the latency.
func (p *proxy) hold(l *link, answers bool) {
	p.mu.Lock()
	thawed, latency := l.thawed, p.latency
	p.mu.Unlock()
	if !answers {
		<-thawed
	}
	if latency > 0 {
		time.Sleep(latency)
	}
}

// cut tells whether this answer is to be swallowed.
func (p *proxy) cut() bool {
	p.mu.Lock()
	if p.cuts == 0 {
		p.mu.Unlock()
		return false
	}
	p.cuts--
	after := p.afterCut
	p.mu.Unlock()
	if after != nil {
		after()
	}
	return true
}

// cutCommits swallows the answers to the next COMMITs, and closes their links.
func (p *proxy) cutCommits(count int, afterCut func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cuts, p.afterCut = count, afterCut
}

func (p *proxy) cutsLeft() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cuts
}

// refuse closes every link and lets no new one come, or lets them come again.
func (p *proxy) refuse(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refusing = on
	if on {
		for l := range p.links {
			_ = l.host.Close()
			_ = l.database.Close()
		}
	}
}

// thaw lets everything go on that was arrested.
func (p *proxy) thaw() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.arrests = 0
	for _, l := range p.arrested {
		close(l.thawed)
	}
	p.arrested = nil
}

// held counts the COMMITs that wait.
func (p *proxy) held() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.arrested)
}

// thawFirst lets the COMMIT go on that has waited longest.
func (p *proxy) thawFirst() {
	p.mu.Lock()
	defer p.mu.Unlock()
	close(p.arrested[0].thawed)
	p.arrested = p.arrested[1:]
}

// delay makes every chunk wait in each direction.
func (p *proxy) delay(latency time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.latency = latency
}
