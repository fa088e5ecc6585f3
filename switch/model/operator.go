package model

import "time"

// Operator of a merchant's terminals.
type Operator struct {
	Password   string
	Supervisor bool
	Active     bool
}

// OperatorKey names an operator.
type OperatorKey struct {
	Merchant int
	Number   string
}

// Session is who is signed on at a terminal; without a number nobody is.
type Session struct {
	Number     string
	Supervisor bool
}

// lockout counts wrong tries in a row.
type lockout struct {
	wrong int
	until time.Time // zero: not locked
}

// Not in the documents: five wrong tries, and half an hour that begins with the
// try which finds it locked.
const (
	triesMax = 5
	lockFor  = 30 * time.Minute
)

// signOn checks an operator's password and puts the operator in the place of
// whoever was signed on at the terminal.
func (w *World) signOn(r Request) Answer {
	k := OperatorKey{r.Merchant, r.Operator}
	l := w.lockouts[k]
	if !l.until.IsZero() && !w.Now.Before(l.until) {
		l = lockout{}
	}
	if l.wrong == triesMax && l.until.IsZero() {
		l.until = kept(w.Now.Add(lockFor))
	}
	who := w.Operators[k]
	answer := Answer{Reason: Approved, Became: Logon, Transaction: -1}
	switch {
	case !l.until.IsZero():
		answer.Reason = OperatorLocked
	case !who.Active || who.Password != r.Password:
		answer.Reason = WrongOperatorPassword
		l.wrong++
	default:
		l = lockout{}
		w.Terminals[r.Terminal].Session = Session{r.Operator, who.Supervisor}
	}
	if w.lockouts == nil {
		w.lockouts = map[OperatorKey]lockout{}
	}
	w.lockouts[k] = l
	return answer
}

// DisableOperator takes an operator's rights away at once, everywhere.
func (w *World) DisableOperator(k OperatorKey) {
	who := w.Operators[k]
	who.Active = false
	w.Operators[k] = who
	delete(w.lockouts, k)
	for i := range w.Terminals {
		if t := &w.Terminals[i]; t.Merchant == k.Merchant && t.Session.Number == k.Number {
			t.Session = Session{}
		}
	}
}

// EnableOperator brings an operator back, who has to sign on again.
func (w *World) EnableOperator(k OperatorKey) {
	who := w.Operators[k]
	who.Active = true
	w.Operators[k] = who
}

// kept is an instant as it is kept: to the microsecond.
func kept(t time.Time) time.Time { return t.Truncate(time.Microsecond) }
