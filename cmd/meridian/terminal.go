package main

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"meridian/host/terminal"
)

// newTerminalCommand returns the test terminal: one command for each thing a terminal does.
func newTerminalCommand(g *globals) *cobra.Command {
	var o terminal.Options
	command := &cobra.Command{
		Use:   "terminal",
		Short: "Be a test terminal: sign on, sell, void, refund",
		Long: `A test terminal for hosts in the nac, ascii and unionpay dialects. It takes address, merchant, terminal, keys and test
cards from the sandbox.json of a running sandbox, shows what goes and what comes field by field with card data masked,
and remembers its STAN and its last transactions in DATA-DIR/terminal-TID.json, so that 'void' after a 'sale' just works.

A unionpay terminal signs in first: 'logon' takes working keys and the batch's number from the host. The keys are kept as
they came, under the terminal's master key.

Exit codes: 0 approved, 1 declined or not to be trusted, 2 usage, 3 configuration, 4 no connection or no answer.`,
		Example: `  meridian terminal sale --amount 12.34
  meridian terminal void
  meridian terminal sale --amount 20 --cashback 5 --dialect ascii --output json
  meridian terminal logon --dialect unionpay
  meridian terminal sale --amount 12.34 --pin card --dialect unionpay`,
	}
	flags := command.PersistentFlags()
	flags.StringVar(&o.DataDir, "data-dir", ".meridian", "directory of sandbox.json and of the terminal's state")
	flags.StringVar(&o.Address, "address", "", "host:port (default from sandbox.json)")
	flags.StringVar(&o.Dialect, "dialect", "", "nac, ascii or unionpay (default the terminal's own, nac without --tid)")
	flags.StringVar(&o.TID, "tid", "", "terminal, F41 (default the dialect's first in sandbox.json)")
	flags.StringVar(&o.MID, "mid", "", "merchant, F42 (default the terminal's)")
	flags.StringVar(&o.MAC, "mac", "", "none, x919, x9.9, unionpay-ecb or aes-cmac (default the terminal's)")
	flags.StringVar(&o.MAK, "mak", "", "MAC key in hex (default the terminal's, unionpay its session's)")
	flags.StringVar(&o.PIK, "pik", "", "PIN key in hex (default the terminal's, unionpay its session's)")
	flags.StringVar(&o.TMK, "tmk", "", "terminal master key in hex, unionpay only (default the terminal's)")
	flags.StringVar(&o.TPDU, "tpdu", "", "TPDU, 10 hex digits, nac and unionpay (default the terminal's)")
	flags.StringVar(&o.Header, "header", "", "application header, 12 digits, unionpay only (default 603100000000)")
	flags.StringVar(&o.Currency, "currency", "", "currency of amounts, such as EUR (default the merchant's)")
	flags.IntVar(&o.Batch, "batch", 0, "open batch, for settlements and originals named by STAN, unionpay in every message "+
		"(default the session's, or the one after the last settlement's)")
	flags.StringVar(&o.Length, "length", "binary", "length prefix of frames: binary, bcd or ascii")
	flags.DurationVar(&o.Timeout, "timeout", terminal.DefaultTimeout, "how long to wait for the connection and for each answer")
	flags.BoolVar(&o.TLS.Enabled, "tls", false, "speak TLS (--ca, --cert, --key and --insecure say so, too)")
	flags.StringVar(&o.TLS.CA, "ca", "", "PEM file of the authorities of the host's certificate (default the system's)")
	flags.StringVar(&o.TLS.Certificate, "cert", "", "PEM file of the terminal's certificate")
	flags.StringVar(&o.TLS.Key, "key", "", "PEM file of its key")
	flags.BoolVar(&o.TLS.Insecure, "insecure", false, "accept any certificate of the host")
	for _, t := range terminalCommands() {
		command.AddCommand(newTerminalOperation(g, &o, t))
	}
	command.AddCommand(newTerminalSettle(g, &o), newTerminalDownload(g, &o))
	return command
}

// terminalCommand is one operation with the flags it has.
type terminalCommand struct {
	operation terminal.Operation
	short     string
	flags     string // names of flag groups: amount card pin invoice original mark
}

func terminalCommands() []terminalCommand {
	return []terminalCommand{
		{terminal.Echo, "Test the line (0800)", ""},
		{terminal.Logon, "Sign the terminal on (0800); unionpay: sign in, for working keys", ""},
		{terminal.SignOff, "Sign the terminal off (unionpay 0820)", ""},
		{terminal.Sale, "Sell, with cashback or without (0200/00, 0200/09)", "amount card pin invoice mark"},
		{terminal.Preauth, "Reserve an amount (0100/00, unionpay 0100/03)", "amount card pin invoice mark"},
		{terminal.Complete, "Capture what the last preauth reserved (0220/00, unionpay 0200/00)", "amount card invoice original mark"},
		{terminal.Void, "Void the last sale (0200/02, unionpay 0200/20)", "amount card pin invoice original mark"},
		{terminal.Refund, "Refund the last sale (0200/20, unionpay 0220/20)", "amount card pin invoice original mark"},
		{
			terminal.Cancel, "Cancel the last transaction; the host decides whether that is a void or a refund (0200/29, unionpay as void)",
			"amount card pin invoice original mark",
		},
		{terminal.Reversal, "Reverse the last transaction, answered or not (0400)", "amount card invoice original mark"},
		{terminal.Balance, "Ask what the card has available (0200/31)", "card pin mark"},
		{terminal.Offline, "Report a sale that was approved offline (0220/00)", "amount card invoice mark"},
		{terminal.Adjust, "Change what the last sale comes to, tip included (unionpay 0220)", "amount card original"},
		{terminal.Script, "Report what an issuer's script did to the card (unionpay 0620)", "card original"},
		{terminal.Status, "Report what the terminal has downloaded; the host tells what there is (unionpay 0820)", ""},
	}
}

func newTerminalOperation(g *globals, o *terminal.Options, t terminalCommand) *cobra.Command {
	r := terminal.Request{Operation: t.operation}
	var n terminal.Repetition
	var minor int64
	var data string
	command := &cobra.Command{Use: string(t.operation), Short: t.short, Args: terminalFlagsOnly}
	flags := command.Flags()
	flags.StringVar(&r.STAN, "stan", "", "STAN, or with --repeat the STAN of the message to repeat (default the terminal's counter)")
	flags.BoolVar(&r.Repeat, "repeat", false, "send the last "+string(t.operation)+" again, byte for byte")
	flags.IntVar(&n.Count, "count", 1, "how often")
	flags.DurationVar(&n.Pause, "pause", 0, "time between an answer and the next request")
	for group := range strings.FieldsSeq(t.flags) {
		if group == "amount" {
			flags.Int64Var(&minor, "minor", 0, "the amount in minor units, such as 1234")
		}
		terminalFlags(flags, group, &r)
	}
	terminalOwnFlags(flags, &r, &data)
	command.RunE = func(c *cobra.Command, _ []string) error {
		if c.Flags().Changed("minor") {
			r.AmountMinor = &minor
		}
		var err error
		if r.ChipData, err = hex.DecodeString(data); err != nil {
			return usagef("--data: it is not hex") // hex's error quotes a character
		}
		t, err := terminal.New(*o)
		if err != nil {
			return terminalExit(err)
		}
		return terminalExit(t.Run(c.Context(), r, n, func(report *terminal.Report) error {
			return g.print(report, report.WriteText)
		}))
	}
	return command
}

// terminalFlags are those of a group.
func terminalFlags(flags *pflag.FlagSet, group string, r *terminal.Request) {
	switch group {
	case "amount":
		flags.StringVar(&r.Amount, "amount", "", "amount in the merchant's currency, such as 12.34")
	case "card":
		flags.StringVar(&r.Card, "card", "", "card of sandbox.json: its position from 0, its behaviour or its number (default approve)")
		flags.StringVar(&r.PAN, "pan", "", "card number of a test card")
		flags.StringVar(&r.Expiry, "expiry", "", "expiry date, YYMM")
		flags.StringVar(&r.Track2, "track2", "", "track 2 of a test card")
		flags.BoolVar(&r.Keyed, "keyed", false, "key the card in (F2 and F14) instead of swiping it (F35)")
	case "pin":
		flags.StringVar(&r.PIN, "pin", "", "PIN that is entered, F52: its digits, or card for the one that sandbox.json has")
		flags.BoolVar(&r.SealTrack, "seal-track", false, "encipher the track, unionpay only ('logon --keys track' gives the key)")
	case "invoice":
		flags.StringVar(&r.Invoice, "invoice", "", "invoice number, F62, nac only (default the STAN, or the original's)")
	case "original":
		flags.StringVar(&r.RRN, "rrn", "", "RRN of the original (default the last one that fits)")
		flags.StringVar(&r.OriginalSTAN, "original-stan", "", "STAN of the original, to name it without its RRN")
		flags.StringVar(&r.AuthCode, "auth-code", "", "authorization code of the original, F38, unionpay only")
		flags.StringVar((*string)(&r.Of), "of", "", "what the original was, such as preauth (default whatever fits)")
	case "mark":
		flags.StringVar((*string)(&r.Lose), "lose", "", "let the line lose the request or the answer: the terminal is left without an outcome")
		flags.BoolVar(&r.WrongMAC, "wrong-mac", false, "send a MAC that is wrong by one bit")
		flags.BoolVar(&r.Mark, "mark", false, "mark the repeat in the message type (0201, 0221, 0401, 0421), nac and ascii")
	}
}

// terminalOwnFlags are those of a single operation.
func terminalOwnFlags(flags *pflag.FlagSet, r *terminal.Request, data *string) {
	switch r.Operation {
	case terminal.Logon:
		flags.StringVar((*string)(&r.Keys), "keys", "", "working keys to ask for: single, double or track, unionpay only (default double)")
	case terminal.Sale:
		flags.StringVar(&r.Cashback, "cashback", "", "part of the amount that is paid out in cash, nac and ascii")
	case terminal.Complete:
		flags.BoolVar(&r.Advice, "advice", false, "send it as an advice (0220), unionpay only")
	case terminal.Refund:
		flags.BoolVar(&r.Unreferenced, "unreferenced", false, "refund without an original")
	case terminal.Reversal:
		flags.StringVar(&r.Replacement, "replacement-amount", "", "reverse in part: what remains (F95), nac and ascii")
		flags.BoolVar(&r.Advice, "advice", false, "send it as an advice (0420), nac and ascii")
		flags.StringVar((*string)(&r.Reason), "reason", "", "why, F39: 98 no answer, 96 not completed, A0 wrong MAC, 06 other; unionpay only (default 98)")
	case terminal.Adjust:
		flags.StringVar(&r.Tip, "tip", "", "the part of the amount that is a tip")
	case terminal.Script:
		flags.StringVar(data, "data", "", "F55 in hex (default a script that went well)")
	case terminal.Status:
		flags.StringVar((*string)(&r.List), "list", string(terminal.ListParameters), "parameters, keys or applications")
	default:
	}
}

// newTerminalDownload takes what the host has for terminals, with all the messages that it takes.
func newTerminalDownload(g *globals, o *terminal.Options) *cobra.Command {
	var lists []string
	command := &cobra.Command{
		Use:   "download",
		Short: "Download parameters, public keys and chip applications (unionpay 0820 and 0800)",
		Long: `Reports of each list that the terminal has nothing, asks for every entry that the host names, and tells the host that it has
them. The entries are shown, not kept.`,
		Example: `  meridian terminal download --dialect unionpay
  meridian terminal download --list keys --dialect unionpay`,
		Args: terminalFlagsOnly,
	}
	all := []string{string(terminal.ListParameters), string(terminal.ListKeys), string(terminal.ListApplications)}
	command.Flags().StringSliceVar(&lists, "list", all, "which of them")
	command.RunE = func(c *cobra.Command, _ []string) error {
		t, err := terminal.New(*o)
		if err != nil {
			return terminalExit(err)
		}
		wanted := make([]terminal.List, len(lists))
		for i, list := range lists {
			wanted[i] = terminal.List(list)
		}
		return terminalExit(t.Download(c.Context(), wanted, func(report *terminal.Report) error {
			return g.print(report, report.WriteText)
		}))
	}
	return command
}

// newTerminalSettle settles the terminal's batch, with all the messages that it takes.
func newTerminalSettle(g *globals, o *terminal.Options) *cobra.Command {
	var s terminal.Settlement
	var form string
	command := &cobra.Command{
		Use:   "settle",
		Short: "Settle the terminal's batch (0500); where the totals differ, upload it (0320) and end the upload",
		Long: `Sends the totals of what the host approved since the last settlement, as the terminal remembers it. Where the host has other
totals it uploads its transactions and ends the batch; what differs is then with the host (meridian batch show). A unionpay batch
ends with a message of its own in either case. The terminal goes on with the next batch number and keeps counting its STANs.`,
		Example: `  meridian terminal settle
  meridian terminal settle --totals 001000000050000 --no-upload`,
		Args: terminalFlagsOnly,
	}
	flags := command.Flags()
	flags.StringVar(&form, "form", string(terminal.TotalsLong),
		"digits of the totals (F63), nac and ascii: 90 or 30 (sales, then voids and refunds), or 15 (sales less voids)")
	flags.StringVar(&s.Totals, "totals", "", "state these totals instead: 15, 30 or 90 digits, groups of a count of 3 and an amount of 12 in minor units; "+
		"unionpay 31 or 62 digits, amount and count of debits and of credits and a 0")
	flags.BoolVar(&s.NoUpload, "no-upload", false, "stop where the totals are out of balance")
	flags.BoolVar(&s.Repeat, "repeat", false, "send the last settlement again, byte for byte; unionpay: or the end of the batch, whichever was last")
	command.RunE = func(c *cobra.Command, _ []string) error {
		s.Form = terminal.TotalsForm(form)
		t, err := terminal.New(*o)
		if err != nil {
			return terminalExit(err)
		}
		return terminalExit(t.Settle(c.Context(), s, func(report *terminal.Report) error {
			return g.print(report, report.WriteText)
		}))
	}
	return command
}

// terminalFlagsOnly refuses arguments without quoting them: a card number would be one.
func terminalFlagsOnly(c *cobra.Command, arguments []string) error {
	if len(arguments) > 0 {
		return usagef("%s takes no arguments: amounts and cards are flags (--amount 12.34, --card low)", c.CommandPath())
	}
	return nil
}

// terminalExit gives an error of the terminal its exit code.
func terminalExit(err error) error {
	e, ok := errors.AsType[*terminal.Error](err)
	if !ok {
		if err == nil {
			return nil
		}
		return fmt.Errorf("terminal: %w", err)
	}
	code := exitFailure
	switch e.Kind {
	case terminal.KindUsage:
		code = exitUsage
	case terminal.KindConfiguration:
		code = exitConfiguration
	case terminal.KindUnreachable:
		code = exitUnreachable
	case terminal.KindFailure, terminal.KindDeclined:
	}
	return withExit(code, err)
}
