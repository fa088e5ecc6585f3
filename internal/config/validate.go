package config

import (
	"fmt"
	"net"
	"net/netip"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// ReadyToServe returns an [*Error] with what a host lacks that other commands do without: a database and a listener.
func (l *Loaded) ReadyToServe() error {
	var problems []Problem
	if l.Config.Database.URL == "" {
		problems = append(problems, Problem{Key: "database.url", Reason: fmt.Sprintf(
			"is missing: give it here or by database.url_file, by %s or %s, or by --database-url",
			Variable("database.url"), Variable("database.url_file"))})
	}
	if len(l.Config.Listeners) == 0 {
		problems = append(problems, Problem{Key: "listeners", Reason: "has none: terminals could not connect"})
	}
	return asError(l.locate(problems))
}

// checkFields checks each value by itself, by its tags.
func (c Config) checkFields() []Problem {
	return checkStruct(reflect.ValueOf(&c).Elem(), "")
}

func checkStruct(structure reflect.Value, section string) []Problem {
	var problems []Problem
	for _, f := range fieldsOf(structure) {
		key := join(section, f.key)
		switch f.kind {
		case kindSection:
			problems = append(problems, checkStruct(f.value, key)...)
		case kindListeners:
			for i := range f.value.Len() {
				problems = append(problems, checkStruct(f.value.Index(i), itemKey(key, i))...)
			}
		case kindText, kindNumber, kindDuration, kindPrefixes, kindSwitch:
			if reason := f.wrong(); reason != "" {
				problems = append(problems, Problem{Key: key, Reason: reason})
			}
		}
	}
	return problems
}

// wrong says why a value is outside what its tags allow, or nothing.
func (f field) wrong() string {
	if len(f.oneof) > 0 {
		// An empty one is missing, which is looked at with what hangs together.
		if text := f.value.String(); text != "" && !slices.Contains(f.oneof, text) || text == "" && !f.required {
			return quote(text) + " is not one of " + strings.Join(f.oneof, ", ") + meant(text, f.oneof)
		}
	}
	if f.limits == "" {
		return ""
	}
	least, most, _ := strings.Cut(f.limits, "..")
	if value := f.value.Int(); value < f.bound(least) || value > f.bound(most) {
		return fmt.Sprintf("%s is outside %s to %s", f.text(), least, most)
	}
	return ""
}

func meant(text string, choices []string) string {
	if choice, ok := nearest(text, choices); ok {
		return "; did you mean " + choice + "?"
	}
	return ""
}

// bound reads one end of a range tag, which a test has read before.
func (f field) bound(text string) int64 {
	if f.kind == kindDuration {
		duration, err := time.ParseDuration(text)
		if err != nil {
			panic(fmt.Sprintf("config: range of %s: %v", f.key, err))
		}
		return int64(duration)
	}
	number, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		panic(fmt.Sprintf("config: range of %s: %v", f.key, err))
	}
	return number
}

// checkRelations checks what is required, what has a form of its own, and what hangs together.
func (c Config) checkRelations() []Problem {
	var problems []Problem
	report := func(key, format string, arguments ...any) {
		problems = append(problems, Problem{Key: key, Reason: fmt.Sprintf(format, arguments...)})
	}
	if c.Database.URL != "" {
		if reason := c.Database.URL.Wrong(); reason != "" {
			report("database.url", "%s", reason)
		}
	}
	if c.Switch.StoreTimeout >= c.Switch.ReplyTimeout {
		report("switch.store_timeout", "%s is not shorter than switch.reply_timeout, %s: a request would be given up while it is stored",
			c.Switch.StoreTimeout, c.Switch.ReplyTimeout)
	}
	if c.Switch.Queue < c.Switch.MaxBatch {
		report("switch.queue", "%d is less than switch.max_batch, %d, which could never be filled", c.Switch.Queue, c.Switch.MaxBatch)
	}
	if c.Ops.Address != "" {
		if reason := wrongAddress(c.Ops.Address); reason != "" {
			report("ops.address", "%s", reason)
		}
	}
	c.Console.check(report)
	names, addresses := map[string]int{}, map[string]string{}
	if c.Ops.Address != "" && !picksPort(c.Ops.Address) {
		addresses[c.Ops.Address] = "ops.address"
	}
	if other, taken := addresses[c.Console.Address]; taken {
		report("console.address", "%s is taken by %s", c.Console.Address, other)
	} else if c.Console.Address != "" && !picksPort(c.Console.Address) {
		addresses[c.Console.Address] = "console.address"
	}
	for i, listener := range c.Listeners {
		key := itemKey("listeners", i)
		listener.check(func(name, format string, arguments ...any) { report(join(key, name), format, arguments...) })
		if other, taken := names[listener.Name]; taken && listener.Name != "" {
			report(join(key, "name"), "%s is the name of %s too", quote(listener.Name), itemKey("listeners", other))
		} else {
			names[listener.Name] = i
		}
		if other, taken := addresses[listener.Address]; taken {
			report(join(key, "address"), "%s is taken by %s", listener.Address, other)
		} else if listener.Address != "" && !picksPort(listener.Address) {
			addresses[listener.Address] = join(key, "address")
		}
		if listener.MaxInFlight > c.Limits.MaxInFlight {
			report(join(key, "max_in_flight"), "%d for one connection is more than limits.max_in_flight, %d for all",
				listener.MaxInFlight, c.Limits.MaxInFlight)
		}
	}
	return problems
}

// check looks at the console: tokens do not travel in clear.
func (c Console) check(report func(key, format string, arguments ...any)) {
	if c.Certificate != "" && c.Key == "" {
		report("console.key", "is missing beside console.certificate")
	}
	if c.Certificate == "" && c.Key != "" {
		report("console.certificate", "is missing beside console.key")
	}
	if c.Address == "" {
		return
	}
	if reason := wrongAddress(c.Address); reason != "" {
		report("console.address", "%s", reason)
		return
	}
	host, _, _ := net.SplitHostPort(c.Address)
	if ip, err := netip.ParseAddr(host); c.Certificate == "" && (err != nil || !ip.IsLoopback()) {
		report("console.address", "%s is not this machine alone: name console.certificate and console.key, or an address such as 127.0.0.1:8580",
			quote(c.Address))
	}
}

// maxDecimalLength is the longest frame that four decimal digits can announce.
const maxDecimalLength = 9999

// check looks at one listener by itself.
func (l Listener) check(report func(key, format string, arguments ...any)) {
	for _, f := range fieldsOf(reflect.ValueOf(&l).Elem()) {
		if f.required && f.value.String() == "" {
			if len(f.oneof) > 0 {
				report(f.key, "is missing: one of %s", strings.Join(f.oneof, ", "))
			} else {
				report(f.key, "is missing")
			}
		}
	}
	if !isLabel(l.Name) {
		report("name", "%s is not a name of small letters, digits, - and _, at most %d", quote(l.Name), maxNameBytes)
	}
	if l.Address != "" {
		if reason := wrongAddress(l.Address); reason != "" {
			report("address", "%s", reason)
		}
	}
	if l.Length != LengthBinary && l.MaxFrameBytes > maxDecimalLength {
		report("max_frame_bytes", "%d cannot be announced by a length of four digits (length: %s): at most %d",
			l.MaxFrameBytes, l.Length, maxDecimalLength)
	}
	if !acquirerID.MatchString(l.AcquirerID) {
		report("acquirer_id", "%s is not 8 to 11 digits", quote(l.AcquirerID))
	}
	if l.DialMonitor && l.Dialect != DialectUnionPay {
		report("dial_monitor", "is for dialect %s alone: no other has a dial-monitor header", DialectUnionPay)
	}
	l.TLS.check(func(key, format string, arguments ...any) { report(join("tls", key), format, arguments...) })
}

func (t TLS) check(report func(key, format string, arguments ...any)) {
	if t.Certificate != "" && t.Key == "" {
		report("key", "is missing beside tls.certificate")
	}
	if t.Certificate == "" && t.Key != "" {
		report("certificate", "is missing beside tls.key")
	}
	if t.Certificate == "" && t.Key == "" && t.ClientCA != "" {
		report("client_ca", "needs tls.certificate and tls.key: without them the listener does not speak TLS")
	}
	if t.RequireClientCertificate && t.ClientCA == "" {
		report("require_client_certificate", "needs tls.client_ca, which terminals' certificates are checked against")
	}
}

// acquirerID is an institution's number.
var acquirerID = regexp.MustCompile(`^[0-9]{8,11}$`)

// maxNameBytes keeps a listener's name fit for a metric's label.
const maxNameBytes = 32

// isLabel tells whether a name can stand in metrics and logs as it is. An empty one is reported as missing.
func isLabel(name string) bool {
	for _, r := range name {
		if (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '_' {
			return false
		}
	}
	return len(name) <= maxNameBytes
}

// wrongAddress says why a text is not host:port, or nothing.
func wrongAddress(address string) string {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return quote(address) + " is not host:port, such as 127.0.0.1:8583 or [::1]:8583"
	}
	if number, err := strconv.ParseUint(port, 10, 16); err != nil || strconv.FormatUint(number, 10) != port {
		return quote(address) + " has no port from 0 to 65535"
	}
	return ""
}

// picksPort tells whether an address leaves its port to the system.
func picksPort(address string) bool { return strings.HasSuffix(address, ":0") }
