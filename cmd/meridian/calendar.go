package main

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"meridian/ledger"
	"meridian/switch"
)

func newCalendarCommand(g *globals) *cobra.Command {
	command := &cobra.Command{
		Use:   "calendar",
		Short: "Add calendars: when business dates end, and when banks are open",
		Long: `A calendar says when the business dates of its merchants end (a wall clock in a time zone), and on which days their banks are
open. Business dates end every day; weekends and holidays move value dates alone. meridian cutover preview shows what comes.

A calendar's zone and cutoff never change, because dates are made of them ten days ahead: add another calendar and move the merchants
(meridian merchant set --calendar). Changes need the login that owns the schema, and are in the audit log.`,
	}
	database := newDatabaseFlags(command)
	command.AddCommand(
		newCalendarListCommand(g, database),
		newCalendarAddCommand(g, database),
		newCalendarHolidayCommand(g, database),
	)
	return command
}

func newCalendarListCommand(g *globals, database *databaseFlags) *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the calendars, with the bank days that are their own",
		Args:  noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			pool, err := database.open(c.Context(), g)
			if err != nil {
				return err
			}
			defer pool.Close()
			list, err := switching.StoredCalendars(c.Context(), pool)
			if err != nil {
				return databaseError(err)
			}
			if list == nil {
				list = []*switching.StoredCalendar{} // an empty list, not null
			}
			return g.print(list, func(w io.Writer) { writeCalendars(w, list) })
		},
	}
}

func writeCalendars(w io.Writer, list []*switching.StoredCalendar) {
	var rows, days [][]string
	for _, c := range list {
		rows = append(rows, []string{
			printable(c.Name), c.TimeZone, c.Cutoff, orDash(c.Region), c.WeekendNames(), c.FirstDate.String(), strconv.Itoa(c.Merchants),
		})
		for _, d := range c.Days {
			is := map[bool]string{false: "holiday", true: "banking day"}[d.Open]
			days = append(days, []string{printable(c.Name), d.Date.String(), is, printable(d.Name)})
		}
	}
	table(w, []string{"CALENDAR", "TIME ZONE", "CUTOFF", "HOLIDAYS", "WEEKEND", "FIRST DATE", "MERCHANTS"}, rows)
	if len(days) > 0 {
		_, _ = fmt.Fprintln(w)
		table(w, []string{"CALENDAR", "DAY", "IS", "NAME"}, days)
	}
}

func newCalendarAddCommand(g *globals, database *databaseFlags) *cobra.Command {
	var why change
	n := switching.NewCalendar{}
	command := &cobra.Command{
		Use:   "add NAME --time-zone ZONE --cutoff HH:MM --by NAME --reason TEXT",
		Short: "Add a calendar",
		Long: `Adds a calendar and makes its first business dates. Where the cutoff falls into the hour that daylight saving skips, the date ends
as far after the gap; where an hour comes twice, at the first one.`,
		Example: `  meridian calendar add "Berlin 02:30" --time-zone Europe/Berlin --cutoff 02:30 --holidays de --by "Ann Lee" --reason "new market"
  meridian calendar add "Kuwait 20:00" --time-zone Asia/Kuwait --cutoff 20:00 --weekend fri,sat --by "Ann Lee" --reason "new market"`,
		Args: oneArgument("NAME"),
	}
	flags := command.Flags()
	flags.StringVar(&n.Zone, "time-zone", "", "zone of the IANA database, such as Europe/Berlin")
	flags.StringVar(&n.Cutoff, "cutoff", "", "when its business dates end: wall clock in the zone, HH:MM")
	flags.StringVar(&n.Region, "holidays", "", "public holidays of a region on which banks are closed: "+strings.Join(ledger.HolidayRegions(), ", "))
	weekend := flags.String("weekend", "sat,sun", "weekdays on which banks are closed, or none")
	why.register(command)
	command.RunE = func(c *cobra.Command, arguments []string) (err error) {
		n.Name = arguments[0]
		if n.Weekend, err = parseWeekend(*weekend); err != nil {
			return err
		}
		pool, now, err := database.enrolling(c, g, &why, "time-zone", "cutoff")
		if err != nil {
			return err
		}
		defer pool.Close()
		if err := switching.AddCalendar(c.Context(), pool, n, now, why.by, why.reason); err != nil {
			return enrolError(c, err, "")
		}
		stored, err := switching.FindCalendar(c.Context(), pool, n.Name)
		if err != nil {
			return databaseError(err)
		}
		return g.doneEnrolling(fmt.Sprintf("calendar %s is added: business dates end at %s in %s", n.Name, n.Cutoff, n.Zone), why, enrolled{Calendar: stored})
	}
	return command
}

// weekdayNames in the order of their ISO numbers: the first is 1.
var weekdayNames = []string{"mon", "tue", "wed", "thu", "fri", "sat", "sun"}

func parseWeekend(text string) ([]int16, error) {
	if text == noValue {
		return []int16{}, nil
	}
	var days []int16
	for name := range strings.SplitSeq(text, ",") {
		i := slices.Index(weekdayNames, strings.ToLower(strings.TrimSpace(name)))
		if i < 0 {
			return nil, usagef("--weekend: %q is no weekday: %s, with commas between them, or none", name, strings.Join(weekdayNames, ", "))
		}
		days = append(days, int16(i+1))
	}
	return days, nil
}

func newCalendarHolidayCommand(g *globals, database *databaseFlags) *cobra.Command {
	var why change
	var day switching.BankDay
	command := &cobra.Command{
		Use:   "holiday CALENDAR DATE (--name TEXT [--open] | --remove) --by NAME --reason TEXT",
		Short: "Close banks on a date, or open them, whatever weekday or public holiday it is",
		Long: `Enters dates that a public calendar does not have, or has otherwise: holidays that a government announces year by year, and the
weekends that are worked in their place (--open). Value dates are made ten days ahead and stay as they are, so enter them early.`,
		Example: `  meridian calendar holiday "Shanghai 23:00" 2027-02-06 --name "Spring Festival" --by "Ann Lee" --reason "announced"
  meridian calendar holiday "Shanghai 23:00" 2027-02-20 --name "make-up day" --open --by "Ann Lee" --reason "announced"`,
		Args: func(c *cobra.Command, arguments []string) error {
			if len(arguments) != 2 {
				return usagef("%s wants two arguments, CALENDAR DATE, and got %d", c.CommandPath(), len(arguments))
			}
			return nil
		},
	}
	flags := command.Flags()
	flags.StringVar(&day.Name, "name", "", "what the day is called")
	flags.BoolVar(&day.Open, "open", false, "banks are open")
	remove := flags.Bool("remove", false, "leave the date to the weekend and the public holidays again")
	why.register(command)
	command.RunE = func(c *cobra.Command, arguments []string) error {
		calendar := arguments[0]
		var err error
		if day.Date, err = ledger.ParseDate(arguments[1]); err != nil {
			return usagef("DATE: %q is not YYYY-MM-DD", arguments[1])
		}
		if *remove == (day.Name != "") || *remove && day.Open {
			return usagef("give --name, or --remove alone")
		}
		pool, _, err := database.enrolling(c, g, &why)
		if err != nil {
			return err
		}
		defer pool.Close()
		is := map[bool]string{false: "a holiday, ", true: "a banking day, "}[day.Open] + day.Name
		if *remove {
			is = "as every year"
			err = switching.RemoveBankDay(c.Context(), pool, calendar, day.Date, why.by, why.reason)
		} else {
			err = switching.SetBankDay(c.Context(), pool, calendar, day, why.by, why.reason)
		}
		if err != nil {
			return enrolError(c, err, "")
		}
		return g.done(fmt.Sprintf("calendar %s: %s is %s", calendar, day.Date, is), why)
	}
	return command
}
