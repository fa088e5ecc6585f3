package story

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"

	"meridian/host/terminal"
)

const (
	// KeptPattern finds the files of tellings in a data directory.
	KeptPattern = "story-*.json"
	// maxKept tellings: what somebody played lately, and little to read again.
	maxKept = 100
	// maxKeptBytes of one file: a thousand steps without their messages' fields.
	maxKeptBytes = 4 << 20
)

// ErrNotKept: there is no such telling.
var ErrNotKept = errors.New("no such telling is kept")

var keptID = regexp.MustCompile(`^[0-9]{8}T[0-9]{6}\.[0-9]{6}Z-[A-Za-z0-9]{1,8}$`)

func keptPath(dir, id string) string { return filepath.Join(dir, "story-"+id+".json") }

// Keep writes a telling into the data directory, where the console finds it, and
// lets go of the oldest ones. The fields of its messages are left out.
func Keep(dir string, t *Telling) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("keep the story: %w", err)
		}
	}()
	content, err := json.Marshal(t.withoutFields())
	if err != nil {
		return err //nolint:wrapcheck // wrapped above
	}
	staged, err := os.CreateTemp(dir, ".story-*.tmp") // mode 0600
	if err != nil {
		return err
	}
	_, err = staged.Write(append(content, '\n'))
	err = errors.Join(err, staged.Close())
	if err == nil {
		err = os.Rename(staged.Name(), keptPath(dir, t.ID))
	}
	if err != nil {
		return errors.Join(err, os.Remove(staged.Name()))
	}
	ids, err := keptIDs(dir)
	if err != nil {
		return err
	}
	for _, id := range ids[min(len(ids), maxKept):] {
		if err := os.Remove(keptPath(dir, id)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// withoutFields is the telling without what the live messages show better.
func (t *Telling) withoutFields() *Telling {
	short := *t
	short.Steps = make([]*Told, len(t.Steps))
	for i, step := range t.Steps {
		one := *step
		one.Exchanges = make([]*Exchange, len(step.Exchanges))
		for j, x := range step.Exchanges {
			report := *x.Report
			report.Request.Fields = nil
			if x.Response != nil {
				response := *x.Response
				response.Fields = nil
				report.Response = &response
			}
			one.Exchanges[j] = &Exchange{&report}
		}
		short.Steps[i] = &one
	}
	return &short
}

// keptIDs are the kept tellings, the newest first.
func keptIDs(dir string) ([]string, error) {
	names, err := fs.Glob(os.DirFS(dir), KeptPattern)
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, name := range names {
		if id := name[len("story-") : len(name)-len(".json")]; keptID.MatchString(id) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	slices.Reverse(ids)
	return ids, nil
}

// Kept reads the newest tellings of a data directory.
func Kept(dir string, most int) ([]*Telling, error) {
	ids, err := keptIDs(dir)
	if err != nil {
		return nil, fmt.Errorf("read stories: %w", err)
	}
	var list []*Telling
	for _, id := range ids[:min(most, len(ids))] {
		t, err := KeptTelling(dir, id)
		if errors.Is(err, ErrNotKept) {
			continue // it went meanwhile
		}
		if err != nil {
			return nil, err
		}
		list = append(list, t)
	}
	return list, nil
}

// KeptTelling reads one telling. It fails with [ErrNotKept] where there is none.
func KeptTelling(dir, id string) (*Telling, error) {
	if !keptID.MatchString(id) {
		return nil, ErrNotKept
	}
	file, err := os.Open(keptPath(dir, id))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNotKept
	}
	if err != nil {
		return nil, fmt.Errorf("read the story: %w", err)
	}
	defer file.Close()
	var t Telling
	if err := json.NewDecoder(io.LimitReader(file, maxKeptBytes)).Decode(&t); err != nil {
		return nil, fmt.Errorf("read the story %s: %w", id, err)
	}
	for _, step := range t.Steps {
		for _, x := range step.Exchanges {
			if x.Report == nil {
				x.Report = &terminal.Report{}
			}
		}
	}
	return &t, nil
}
