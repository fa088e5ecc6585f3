package story

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"
)

// junitSuites is the form that build servers read: a suite for each scenario, a
// case for each step.
type junitSuites struct {
	XMLName  xml.Name     `xml:"testsuites"`
	Name     string       `xml:"name,attr"`
	Tests    int          `xml:"tests,attr"`
	Failures int          `xml:"failures,attr"`
	Errors   int          `xml:"errors,attr"`
	Time     string       `xml:"time,attr"`
	Suites   []junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name      string      `xml:"name,attr"`
	File      string      `xml:"file,attr,omitempty"`
	Tests     int         `xml:"tests,attr"`
	Failures  int         `xml:"failures,attr"`
	Errors    int         `xml:"errors,attr"`
	Time      string      `xml:"time,attr"`
	Timestamp string      `xml:"timestamp,attr"`
	Cases     []junitCase `xml:"testcase"`
}

type junitCase struct {
	Name    string        `xml:"name,attr"`
	Class   string        `xml:"classname,attr"`
	Failure *junitProblem `xml:"failure,omitempty"`
	Error   *junitProblem `xml:"error,omitempty"`
}

type junitProblem struct {
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

// WriteJUnit writes tellings as JUnit's XML.
func WriteJUnit(w io.Writer, tellings []*Telling) error {
	all := junitSuites{Name: "meridian scenario run"}
	var seconds float64
	for _, t := range tellings {
		suite := junitSuite{
			Name: t.Scenario + " (" + t.Dialect + ")", File: t.File, Time: fmt.Sprintf("%.3f", t.Took.Seconds()),
			Timestamp: t.RealTime.Format("2006-01-02T15:04:05"),
		}
		for i, step := range t.Steps {
			one := junitCase{Name: fmt.Sprintf("%d. %s (line %d)", i+1, step.Heading(), step.Line), Class: t.Scenario + "." + t.Dialect}
			last := i == len(t.Steps)-1
			switch {
			case len(step.Differences) > 0:
				var lines []string
				for _, d := range step.Differences {
					lines = append(lines, fmt.Sprintf("%s:%d: %s", t.File, d.Line, d))
				}
				one.Failure = &junitProblem{Message: step.Differences[0].String(), Text: strings.Join(lines, "\n")}
				suite.Failures++
			case last && t.Outcome == Broken:
				one.Error = &junitProblem{Message: t.Error, Text: fmt.Sprintf("%s: %s", t.File, t.Error)}
				suite.Errors++
			}
			suite.Cases = append(suite.Cases, one)
		}
		suite.Tests = len(suite.Cases)
		all.Tests, all.Failures, all.Errors = all.Tests+suite.Tests, all.Failures+suite.Failures, all.Errors+suite.Errors
		all.Suites, seconds = append(all.Suites, suite), seconds+t.Took.Seconds()
	}
	all.Time = fmt.Sprintf("%.3f", seconds)
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return fmt.Errorf("write JUnit: %w", err)
	}
	encoder := xml.NewEncoder(w)
	encoder.Indent("", "  ")
	if err := encoder.Encode(all); err != nil {
		return fmt.Errorf("write JUnit: %w", err)
	}
	_, err := io.WriteString(w, "\n")
	if err != nil {
		return fmt.Errorf("write JUnit: %w", err)
	}
	return nil
}
