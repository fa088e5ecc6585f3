package main

import (
	"cmp"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// Set when the binary is linked: -ldflags "-X main.version=v1.2.3 -X main.commit=0123abc".
var (
	version = "unknown"
	commit  string // empty takes what Go noted of the checkout
)

// moovModule is the library that defines the dialects' field tables: its version tells which ones are in the binary.
const moovModule = "github.com/moov-io/iso8583"

// build says what a binary was made of.
type build struct {
	Version  string `json:"version"`
	Commit   string `json:"commit,omitempty"`
	Modified bool   `json:"modified,omitempty"` // the checkout had changes that are not in Commit
	Go       string `json:"go"`
	ISO8583  string `json:"moov_iso8583"`
	Platform string `json:"platform"`
}

func thisBuild() build {
	b := build{Version: version, Commit: commit, Go: runtime.Version(), ISO8583: "unknown", Platform: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	for _, setting := range info.Settings {
		switch setting.Key {
		case "vcs.revision":
			b.Commit = cmp.Or(b.Commit, setting.Value)
		case "vcs.modified":
			b.Modified = setting.Value == "true"
		}
	}
	for _, module := range info.Deps {
		if module.Path == moovModule {
			b.ISO8583 = module.Version
		}
	}
	return b
}

func newVersionCommand(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version of Meridian and of what it was built with",
		Args:  noArguments,
		RunE: func(*cobra.Command, []string) error {
			b := thisBuild()
			return g.print(b, func(w io.Writer) {
				_, _ = fmt.Fprintf(w, "meridian %s\n", b.Version)
				if b.Commit != "" {
					modified := ""
					if b.Modified {
						modified = " (with changes)"
					}
					_, _ = fmt.Fprintf(w, "commit   %s%s\n", b.Commit, modified)
				}
				_, _ = fmt.Fprintf(w, "go       %s %s\n", b.Go, b.Platform)
				_, _ = fmt.Fprintf(w, "iso8583  %s\n", b.ISO8583)
			})
		},
	}
}
