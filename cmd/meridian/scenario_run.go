package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"meridian/host/terminal"
	"meridian/sandbox"
	"meridian/sandbox/story"
)

// storyFlags say at which sandbox a scenario is played, and by whom.
type storyFlags struct {
	dataDir string
	choice  story.Choice
}

func (f *storyFlags) register(flags *pflag.FlagSet) {
	flags.StringVar(&f.dataDir, "data-dir", sandbox.DefaultDataDir, "directory of the running sandbox")
	flags.StringVar(&f.choice.Dialect, "dialect", "", "nac, ascii or unionpay (default the first that the scenario is for)")
	flags.StringVar(&f.choice.MID, "mid", "", "merchant (default the scenario's, or the first that fits)")
	flags.StringVar(&f.choice.TID, "tid", "", "terminal (default the scenario's, or the merchant's one for stories)")
}

// stage is a sandbox that scenarios are played at.
type stage struct {
	player   story.Player
	manifest *sandbox.Manifest
	pool     *pgxpool.Pool
	dataDir  string
}

func (s *stage) close() { s.pool.Close() }

// open finds the sandbox and its books.
func (f *storyFlags) open(ctx context.Context, g *globals) (*stage, error) {
	clock := sandboxFlags{dataDir: f.dataDir}
	running, err := clock.find()
	if err != nil {
		return nil, err
	}
	pool, err := sandboxBooks(ctx, g, running.DatabaseURL)
	if err != nil {
		return nil, err
	}
	s := &stage{manifest: running, pool: pool, dataDir: f.dataDir}
	s.player.World = story.World{
		DataDir: f.dataDir, Terminals: running.StoryTerminals(), Pool: pool,
		Clock: func(ctx context.Context, move story.Move) (story.Reading, error) {
			change := sandbox.ClockChange{Do: move.Do, Duration: move.Duration, Instant: move.Instant}
			reading, err := askClock(ctx, running.Addresses.Ops, change)
			if err != nil {
				return story.Reading{}, err
			}
			return story.Reading{Now: reading.Now, Frozen: reading.Frozen}, nil
		},
	}
	return s, nil
}

// play plays one scenario, keeps what is told for the console, and tells it to people as it goes on.
func (s *stage) play(ctx context.Context, g *globals, scenario *story.Scenario, choice story.Choice, aloud bool) (*story.Telling, error) {
	player, told := s.player, 0
	w := &keepError{w: g.stdout}
	player.Begin = func(t *story.Telling) error {
		if aloud {
			t.WriteHead(w)
		}
		return w.err
	}
	player.Step = func(_ *story.Telling, step *story.Told) error {
		if told++; aloud {
			step.WriteStep(w, told)
		}
		return w.err
	}
	telling, err := player.Play(ctx, scenario, choice)
	if telling == nil {
		return nil, storyError(err)
	}
	if aloud {
		telling.WriteEnd(w)
	}
	if kept := story.Keep(s.dataDir, telling); kept != nil {
		err = cmp.Or(err, kept)
	}
	if err == nil {
		err = w.err
	}
	return telling, storyError(err)
}

// link leads to the story in the console.
func (s *stage) link(t *story.Telling) string {
	return s.manifest.Addresses.Console + "/stories/" + t.ID
}

// storyError gives an error of a scenario its exit code.
func storyError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, story.ErrNobody):
		return withExit(exitUsage, err)
	}
	if _, ok := errors.AsType[*terminal.Error](err); ok && !errors.Is(err, story.ErrUnexpected) {
		return terminalExit(err)
	}
	return err
}

// newScenarioRun plays files; it stands under scenario.
func newScenarioRun(g *globals) *cobra.Command {
	var f storyFlags
	var every bool
	var junit string
	command := &cobra.Command{
		Use:   "run FILE...",
		Short: "Play scenario files at a running sandbox and check what they expect",
		Long: `Plays scenario files: what terminals send, how the clock moves, and what has to come of it. The stories of 'meridian trigger'
are such files; docs/reference/scenario-files.md says what can stand in one.

A scenario ends at its first step that does not come out as expected. The exit code is 1 if one of them did not, 2 for a file
that says something wrong (with its line), 4 if the sandbox does not answer.`,
		Example: `  meridian scenario run checkout.yaml
  meridian scenario run --every-dialect --junit report.xml scenarios/*.yaml`,
		Args: func(c *cobra.Command, arguments []string) error {
			if len(arguments) == 0 {
				return usagef("%s needs a FILE", c.CommandPath())
			}
			return nil
		},
	}
	f.register(command.Flags())
	command.Flags().BoolVar(&every, "every-dialect", false, "play each file in every dialect that it is for")
	command.Flags().StringVar(&junit, "junit", "", "write a report in JUnit's form to this file, - for standard output")
	command.RunE = func(c *cobra.Command, files []string) error {
		if every && (f.choice.Dialect != "" || f.choice.TID != "") {
			return usagef("--every-dialect: leave --dialect and --tid away")
		}
		var list []*story.Scenario
		for _, file := range files { // all of them before the first is played
			s, err := story.Read(file)
			if err != nil {
				return withExit(exitUsage, err)
			}
			list = append(list, s)
		}
		return runScenarios(c.Context(), g, &f, list, every, junit)
	}
	return command
}

func runScenarios(ctx context.Context, g *globals, f *storyFlags, list []*story.Scenario, every bool, junit string) error {
	s, err := f.open(ctx, g)
	if err != nil {
		return err
	}
	defer s.close()
	aloud := !g.json() && junit != "-"
	tellings := []*story.Telling{}
	var first error
	wrong := 0
	for _, scenario := range list {
		dialects := []string{f.choice.Dialect}
		if every {
			dialects = scenario.Dialects
		}
		for _, dialect := range dialects {
			choice := f.choice
			choice.Dialect = dialect
			telling, err := s.play(ctx, g, scenario, choice, aloud)
			if telling != nil {
				tellings = append(tellings, telling)
			}
			if err != nil {
				wrong++
				first = cmp.Or(first, fmt.Errorf("%s: %w", scenario.File, err))
			}
			if ctx.Err() != nil || exitCode(err) == exitUnreachable {
				return errors.Join(first, report(g, tellings, junit))
			}
			if aloud {
				_, _ = fmt.Fprintln(g.stdout)
			}
		}
	}
	if err := report(g, tellings, junit); err != nil {
		return err
	}
	if wrong > 1 {
		first = fmt.Errorf("%d of %d scenarios did not come out as expected; the first: %w", wrong, len(tellings), first)
	}
	return first
}

// report writes what was told, in the forms that were asked for.
func report(g *globals, tellings []*story.Telling, junit string) error {
	switch junit {
	case "":
	case "-":
		return story.WriteJUnit(g.stdout, tellings)
	default:
		file, err := os.Create(junit)
		if err != nil {
			return fmt.Errorf("write JUnit: %w", err)
		}
		if err := errors.Join(story.WriteJUnit(file, tellings), file.Close()); err != nil {
			return err
		}
	}
	if !g.json() {
		return nil
	}
	return g.print(tellings, func(io.Writer) {})
}
