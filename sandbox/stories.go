//go:build unix

package sandbox

import (
	"meridian/sandbox/story"
)

// StoryTerminals are the sandbox's terminals as scenarios see them.
func (m *Manifest) StoryTerminals() []story.Terminal {
	var list []story.Terminal
	for _, merchant := range m.Merchants {
		for _, t := range merchant.Terminals {
			list = append(list, story.Terminal{TID: t.TID, MID: merchant.MID, Dialect: t.Dialect, Stories: t.Stories})
		}
	}
	return list
}

// story is a reading as scenarios take it.
func (r *ClockReading) story() story.Reading {
	return story.Reading{Now: r.Now, Frozen: r.Frozen}
}
