//go:build unix

package pglocal

import (
	"errors"
	"io"
	"os"
	"syscall"
)

// maxLogBytes bounds one log file; the one before it is kept, so the log takes at
// most twice this. Weeks of a quiet server, minutes of a noisy one.
const maxLogBytes = 4 << 20

// logFile keeps what the server says in at most two files. Writing never fails:
// a full disk must not stop the reading of a pipe that the server waits on. One
// goroutine writes.
type logFile struct {
	path     string
	uid, gid int
	file     *os.File // nil while it cannot be opened
	size     int64
}

// openLog opens the log for appending. Only this can fail; what goes wrong later
// is ridden out.
func openLog(path string, uid, gid int) (*logFile, error) {
	l := &logFile{path: path, uid: uid, gid: gid}

	return l, l.open()
}

func (l *logFile) open() error {
	file, err := os.OpenFile(l.path, os.O_WRONLY|os.O_APPEND|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}

	info, err := file.Stat()
	if err == nil {
		err = give(l.path, l.uid, l.gid)
	}

	if err != nil {
		return errors.Join(err, file.Close())
	}

	l.file, l.size = file, info.Size()

	return nil
}

func (l *logFile) write(data []byte) {
	if l.file != nil && l.size+int64(len(data)) > maxLogBytes {
		l.close()

		_ = os.Rename(l.path, l.path+".1")
	}

	if l.file == nil && l.open() != nil {
		return
	}

	n, _ := l.file.Write(data)
	l.size += int64(n)
}

// drain copies r to the log and to the tail until every writer has closed it.
func (l *logFile) drain(r io.Reader, end *tail) {
	buffer := make([]byte, 16<<10)

	for {
		n, err := r.Read(buffer)
		if n > 0 {
			l.write(buffer[:n])
			_, _ = end.Write(buffer[:n])
		}

		if err != nil {
			return
		}
	}
}

func (l *logFile) close() {
	if l.file != nil {
		_ = l.file.Close()
		l.file = nil
	}
}
