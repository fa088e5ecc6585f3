package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"meridian/sandbox/story"
)

// newTriggerCommand tells stories: scenarios that the program brings along.
func newTriggerCommand(g *globals) *cobra.Command {
	command := &cobra.Command{
		Use:   "trigger",
		Short: "Play a story at a running sandbox: a late cancel, a reversal before its sale",
		Long: `Plays a story at a running sandbox and tells it step by step: what the terminal sent, what came back, what the books did and by
which rule. The messages go over TCP like any others, from terminals that are there for stories. A story that waits for a cutoff
moves the sandbox's clock past it, and leaves it there ('meridian clock real' takes it back).

The console shows the stories that were played, with their transactions, and plays them too. 'meridian scenario run' plays
scenarios of your own.

Exit codes: 0 when everything came out as the story says, 1 when it did not, 4 when no sandbox runs.`,
		Example: `  meridian trigger late-cancel
  meridian trigger reversal-first --dialect unionpay
  meridian trigger list`,
	}
	var f storyFlags
	f.register(command.PersistentFlags())
	list, err := story.Stories()
	if err != nil {
		panic(err) // the files are in the program, and a test reads them
	}
	for _, s := range list {
		command.AddCommand(&cobra.Command{
			Use: s.Name, Short: s.Title, Args: noArguments,
			Long: strings.TrimSpace(s.About) + "\n\nIn: " + strings.Join(s.Dialects, ", ") + ".",
			RunE: func(c *cobra.Command, _ []string) error { return trigger(c, g, &f, s) },
		})
	}
	command.AddCommand(&cobra.Command{Use: "list", Short: "List the stories", Args: noArguments, RunE: func(*cobra.Command, []string) error {
		return listStories(g, list)
	}})
	return command
}

func trigger(c *cobra.Command, g *globals, f *storyFlags, s *story.Scenario) error {
	at, err := f.open(c.Context(), g)
	if err != nil {
		return err
	}
	defer at.close()
	telling, err := at.play(c.Context(), g, s, f.choice, !g.json())
	if telling == nil {
		return err
	}
	if printed := g.print(telling, func(w io.Writer) { _, _ = fmt.Fprintf(w, "In the console: %s\n", at.link(telling)) }); printed != nil {
		return printed
	}
	return err
}

// listedStory is a story in a list.
type listedStory struct {
	Name     string   `json:"name"`
	Title    string   `json:"title"`
	About    string   `json:"about"`
	Dialects []string `json:"dialects"`
}

func listStories(g *globals, list []*story.Scenario) error {
	shown := make([]listedStory, len(list))
	for i, s := range list {
		shown[i] = listedStory{s.Name, s.Title, strings.TrimSpace(s.About), s.Dialects}
	}
	return g.print(shown, func(w io.Writer) {
		for _, s := range shown {
			_, _ = fmt.Fprintf(w, "%-22s %s\n", s.Name, s.Title)
		}
	})
}
