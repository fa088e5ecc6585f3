package leak

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
)

// Finding is a secret where none may be.
type Finding struct {
	Where  string // what was searched
	Offset int64
	Secret string // its name
	Form   string // how it was written
}

// String says what was found, and where; not the secret.
func (f Finding) String() string {
	return fmt.Sprintf("%s, %s, in %s at byte %d", f.Secret, f.Form, f.Where, f.Offset)
}

// MaxFindings bounds what one search reports: a log that is full of card numbers is
// told by its first ones.
const MaxFindings = 100

// Searcher looks for the secrets that there were when it was made. It may be used
// by several goroutines.
type Searcher struct {
	// first has a bit for the first two bytes of each form: few texts get past it,
	// and it stays in the processor's nearest memory.
	first   [1 << 16 / 64]uint64
	forms   map[uint64][]pattern // by their first six bytes, the longest first
	longest int
	buffers sync.Pool // of *[]byte
}

const (
	// keyBytes of a form decide where it is looked up; minPattern is not less.
	keyBytes  = 6
	chunkSize = 1 << 20
)

// Searcher makes a searcher for what was added so far.
func (s *Secrets) Searcher() *Searcher {
	r := &Searcher{forms: map[uint64][]pattern{}, longest: s.longest()}
	for _, p := range s.patterns {
		pair := uint16(p.text[0])<<8 | uint16(p.text[1])
		r.first[pair/64] |= 1 << (pair % 64)
		key := keyOf(p.text)
		r.forms[key] = append(r.forms[key], p)
	}
	r.buffers.New = func() any {
		b := make([]byte, 0, chunkSize+max(r.longest, keyBytes)-1)
		return &b
	}
	for _, forms := range r.forms {
		slices.SortFunc(forms, func(a, b pattern) int { return len(b.text) - len(a.text) })
	}
	return r
}

func keyOf(b []byte) (key uint64) {
	for _, c := range b[:keyBytes] {
		key = key<<8 | uint64(c)
	}
	return key
}

// Search reads to the end and returns what it found.
func (r *Searcher) Search(where string, from io.Reader) ([]Finding, error) {
	var found []Finding
	keep := max(r.longest, keyBytes) - 1 // of a chunk, for what goes on in the next one
	memory := r.buffers.Get().(*[]byte)  //nolint:forcetypeassert // nothing else is in it
	defer r.buffers.Put(memory)
	buffer := (*memory)[:0]
	begin, past := int64(0), 0 // of the buffer; of what was found last, in it
	for {
		n, err := io.ReadFull(from, buffer[len(buffer):len(buffer)+chunkSize])
		buffer = buffer[:len(buffer)+n]
		last := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
		if err != nil && !last {
			return found, fmt.Errorf("search %s: %w", where, err)
		}
		searched := max(0, len(buffer)-keep) // what begins later is looked at with what follows
		if last {
			searched = len(buffer)
		}
		found, past = r.search(found, where, buffer, past, searched, begin)
		if last || len(found) >= MaxFindings {
			return found, nil
		}
		begin, past = begin+int64(searched), past-searched
		buffer = buffer[:copy(buffer, buffer[searched:])]
	}
}

// search looks for forms that begin between from and to. What is inside of a form
// that was found is passed over: it is the same secret. It returns where to go on.
func (r *Searcher) search(found []Finding, where string, buffer []byte, from, to int, begin int64) (all []Finding, past int) {
	i := max(from, 0)
	for i < to && i+keyBytes <= len(buffer) {
		pair := uint16(buffer[i])<<8 | uint16(buffer[i+1])
		if r.first[pair/64]&(1<<(pair%64)) == 0 {
			i++
			continue
		}
		length := 1
		for _, p := range r.forms[keyOf(buffer[i:])] {
			if p.matches(buffer[i:]) {
				found, length = append(found, Finding{where, begin + int64(i), p.secret, p.form}), len(p.text)
				break
			}
		}
		if len(found) >= MaxFindings {
			return found, i
		}
		i += length
	}
	return found, i
}

// SearchTree searches every regular file below a directory. A file that goes away
// meanwhile is passed over: databases remove theirs.
func (r *Searcher) SearchTree(directory string) (found []Finding, bytes int64, err error) {
	root, err := os.OpenRoot(directory)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, fmt.Errorf("search %s: %w", directory, err)
	}
	defer root.Close()
	err = fs.WalkDir(root.FS(), ".", func(name string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		file, err := root.Open(name)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		defer file.Close()
		counted := &counter{from: file}
		some, err := r.Search(filepath.Join(directory, name), counted)
		found, bytes = append(found, some...), bytes+counted.n
		return err
	})
	if err != nil {
		return found, bytes, fmt.Errorf("search %s: %w", directory, err)
	}
	return found, bytes, nil
}

// counter counts what is read.
type counter struct {
	from io.Reader
	n    int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.from.Read(p)
	c.n += int64(n)
	return n, err //nolint:wrapcheck // a reader's own
}
