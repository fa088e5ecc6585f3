//go:build unix

package bench

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
)

// memoryUse of a host, in bytes.
type memoryUse struct {
	resident int64 // of the process
	// live is what its heap holds after a collection, and its goroutines' stacks. A
	// host that has worked has memory to spare, which idle connections take without
	// a byte more being resident.
	live int64
}

// memory in use, after a collection.
func (s *served) memory(ctx context.Context) (use memoryUse, err error) {
	if err := s.collect(ctx); err != nil {
		return use, err
	}
	for _, name := range []string{"go_memstats_heap_alloc_bytes", "go_memstats_stack_inuse_bytes"} {
		bytes, err := s.metric(ctx, name)
		if err != nil {
			return use, err
		}
		use.live += int64(bytes)
	}
	use.resident, err = residentBytes(s.pid())
	return use, err
}

// collect has the host collect its garbage: a profile of what is live begins so.
func (s *served) collect(ctx context.Context) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.ops+"/debug/pprof/heap?gc=1", http.NoBody)
	if err != nil {
		return fmt.Errorf("collect garbage: %w", err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("collect garbage: %w", err)
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		return fmt.Errorf("collect garbage: %w", err)
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("collect garbage: %s", response.Status)
	}
	return nil
}

// residentBytes of a process that are its own: not shared with a file.
func residentBytes(pid int) (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, fmt.Errorf("read memory of process %d: %w", pid, err)
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, "RssAnon:"); ok {
			kib, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")), 10, 64)
			if err != nil {
				return 0, fmt.Errorf("read memory of process %d: %w", pid, err)
			}
			return kib << 10, nil
		}
	}
	return 0, fmt.Errorf("memory of process %d is not told", pid)
}
