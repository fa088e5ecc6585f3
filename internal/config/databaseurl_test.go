package config

import (
	"strings"
	"testing"
)

func TestWrongDatabaseURLs(t *testing.T) {
	for _, right := range []string{
		"postgres://localhost/db",
		"postgres:///db?host=/run/postgresql",
		"postgresql://u@h/db",
		"postgres://u:hunter2@h/db",
		"postgres://u:@h/db",
		"postgres://u:hun%40ter2@h/db",
		"postgres://u:hun:ter2@h/db",
		"postgres://u%40tenant:hunter2@h:5432/db?sslmode=verify-full&sslrootcert=/etc/ca.pem",
		"postgres://u:hunter2@h1:5432,h2:5433/db?target_session_attrs=any",
		"postgres://u@[::1]:5432/db",
		"postgres://h:5432/db?user=u&password=hunter@2",
		"postgres://h",
		"postgres://u:hunter2@h/db?sslmode=verify-full&sslrootcert=/nowhere/ca.pem",
		"postgres://u:hunter2@h/db?no_setting_of_mine=1", // the server's to refuse
		"host=h user=u password=hunter2 dbname=d",
		"host=h password=hun@ter2",
		"host=h password = 'hunter2 \\' @hunter2' dbname=d ",
		"password=hunter2",
	} {
		if reason := DatabaseURL(right).Wrong(); reason != "" {
			t.Errorf("%s %s", right, reason)
		}
	}
	for _, wrong := range []string{
		"postgres://u:hun@ter2@h/db",
		"postgres://u:hun@ter2/x@h/db",
		"postgres://u@tenant:hunter2@h/db",
		"postgres://u:hunter2/@h/db",
		"postgres://u:12345/hunter2@h/db",
		"postgres://u:hunter2?x@h/db",
		"postgres://u:hunter2#x@h/db",
		"postgres://u:hunter2%@h/db",
		"postgres://u:hunter2 x@h/db",
		"postgres://u:hunter2/db",
		"postgres://u:hunter2",
		"postgres://u:p@/db?host=ter2@h",
		"postgres://u:p@hun%40ter2/db",
		"host=h password=hunter2 ter2@h user=u",
		"host=ter2@h user=u password=hun",
		"host='ter2@h' user=u",
		"host=h password='hunter2",
		"postgres://u:hunter2@h/db?sslmode=hunter2",
		"postgres://u:hunter2@h:99999/db",
		"host=h password=hunter2 connect_timeout=hunter2",
		"hunter2",
		"mysql://u:hunter2@h",
	} {
		reason := DatabaseURL(wrong).Wrong()
		if reason == "" {
			t.Errorf("%s is accepted", wrong)
		}
		if strings.Contains(reason, "hun") || strings.Contains(reason, "ter2") {
			t.Errorf("%s: the reason shows some of it: %s", wrong, reason)
		}
	}
}

func TestTheWrongParameterIsNamed(t *testing.T) {
	for url, name := range map[string]string{
		"postgres://u:hunter2@h/db?application_name=a&sslmode=bogus": ": sslmode",
		"postgres://u:hunter2@h/db?connect_timeout=soon":             ": connect_timeout",
		"postgres://u:hunter2@h/db?pool_max_conns=many":              ": pool_max_conns",
	} {
		if reason := DatabaseURL(url).Wrong(); !strings.HasSuffix(reason, name) {
			t.Errorf("%s %s", url, reason)
		}
	}
}
