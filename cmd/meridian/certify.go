package main

import (
	"context"
	"fmt"
	"net/url"

	"github.com/spf13/cobra"

	"meridian/console/certification"
	"meridian/sandbox"
)

// outputMarkdown is a form that a command may have besides.
const outputMarkdown = "markdown"

// newCertifyCommand shows what a terminal has passed.
func newCertifyCommand(g *globals) *cobra.Command {
	var tid string
	var complete bool
	var f sandboxFlags
	command := &cobra.Command{
		Use:   "certify",
		Short: "Show the checklist of an integrator's terminal, which ticks itself",
		Long: `Shows what a terminal has to show before it goes live, and what it has shown already at a running sandbox: every case stands with
its evidence, such as the RRN that proves it, or with what to do. --output markdown is the report to hand on.

Transactions, batches and keys are looked up; sign-ons, echoes and repeats, which are not stored, the sandbox has seen pass.

Exit codes: 0, also for a list that is not complete; with --complete 1 unless every case that is needed is passed.`,
		Example: `  meridian certify --tid 10000001
  meridian certify --tid 10000001 --output markdown > certification.md`,
		Args:        noArguments,
		Annotations: map[string]string{formsAnnotation: outputMarkdown},
	}
	flags := command.Flags()
	flags.StringVar(&tid, "tid", "", "terminal")
	flags.StringVar(&f.dataDir, "data-dir", sandbox.DefaultDataDir, "directory of the running sandbox")
	flags.StringVar(&f.ops, "ops", "", "its ops address, as http://… (default from sandbox.json)")
	flags.BoolVar(&complete, "complete", false, "fail unless every case that is needed is passed")
	command.RunE = func(c *cobra.Command, _ []string) error {
		if tid == "" {
			return usagef("name a terminal: --tid TID")
		}
		running, err := f.find()
		if err != nil {
			return err
		}
		list, err := askCertification(c.Context(), running.Addresses.Ops, tid)
		if err != nil {
			return err
		}
		write := list.WriteText
		if g.output == outputMarkdown {
			write = list.WriteMarkdown
		}
		if err := g.print(list, write); err != nil {
			return err
		}
		if complete && !list.Complete {
			return fmt.Errorf("terminal %s: %s", printable(tid), list.Verdict())
		}
		return nil
	}
	return command
}

// askCertification reads a terminal's checklist behind an ops address.
func askCertification(ctx context.Context, ops, tid string) (*certification.Checklist, error) {
	checklist := control{
		sandbox.CertificationPath + "?" + url.Values{"tid": {tid}}.Encode(),
		"the checklist", "this host certifies no terminals: only a sandbox does",
	}
	list := new(certification.Checklist)
	if err := checklist.ask(ctx, ops, nil, list); err != nil {
		return nil, err
	}
	return list, nil
}
