package story

import (
	"cmp"
	"embed"
	"fmt"
	"path"
	"slices"
	"sync"
)

//go:embed files/*.yaml
var files embed.FS

// order of the stories, from the plain to the particular.
var order = []string{
	"sale", "void", "refund", "late-cancel", "partial-refunds", "preauth", "repeat", "lost-answer", "reversal-first", "wrong-mac", "batch-out-of-balance",
}

// Stories are the scenarios that the program brings along, read once.
var Stories = sync.OnceValues(func() ([]*Scenario, error) {
	entries, err := files.ReadDir("files")
	if err != nil {
		return nil, fmt.Errorf("stories: %w", err)
	}
	list := make([]*Scenario, 0, len(entries))
	for _, entry := range entries {
		content, err := files.ReadFile(path.Join("files", entry.Name()))
		if err != nil {
			return nil, fmt.Errorf("stories: %w", err)
		}
		s, err := Parse(entry.Name(), content)
		if err != nil {
			return nil, err
		}
		list = append(list, s)
	}
	slices.SortFunc(list, func(a, b *Scenario) int {
		return cmp.Compare(slices.Index(order, a.Name), slices.Index(order, b.Name))
	})
	return list, nil
})

// Story finds a story by its name; nil where there is none.
func Story(name string) (*Scenario, error) {
	list, err := Stories()
	if err != nil {
		return nil, err
	}
	for _, s := range list {
		if s.Name == name {
			return s, nil
		}
	}
	return nil, nil //nolint:nilnil // the caller knows what to say of a name that is none
}
