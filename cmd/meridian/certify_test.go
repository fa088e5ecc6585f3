package main

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestCertify(t *testing.T) {
	w := newWorld(t)
	const till = "10000001"
	certify := func(arguments ...string) outcome {
		t.Helper()
		return w.call(append([]string{"certify"}, arguments...)...)
	}
	certify("--tid", till).want(t, 0, "Terminal "+till, "[ ]")
	w.call("terminal", "sale", "--amount", "12.34", "--tid", till).want(t, 0)
	certify("--tid", till).want(t, 0, "[x]", "cases are passed")
	certify("--tid", till, "--complete").want(t, exitFailure, "terminal "+till+":", "cases are passed")
	certify("--tid", till, "-o", "json").want(t, 0, `"tid": "`+till+`"`, `"complete": false`)
	certify("--tid", till, "-o", "markdown").want(t, 0, "# Certification of terminal "+till, "| case | status | evidence |")
	certify().want(t, exitUsage, "name a terminal: --tid TID")
	certify("--tid", "99999999").want(t, exitUsage, "no terminal has this TID")

	// A host that is no sandbox certifies nothing.
	host := httptest.NewServer(http.NotFoundHandler())
	defer host.Close()
	certify("--tid", till, "--ops", host.URL).want(t, exitConfiguration, "only a sandbox does")
	host.Close()
	certify("--tid", till, "--ops", host.URL).want(t, exitUnreachable, "does not answer")
}
