package console

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"meridian/console/certification"
	"meridian/switch"
)

// certificationBody lists terminals to certify.
type certificationBody struct {
	Merchant string
	List     []*switching.TerminalState
	Pager    pager
}

// exam is what the console examines terminals with.
func (c *Console) exam() certification.Exam {
	return certification.Exam{DB: c.o.Pool, Directory: c.o.Directory(), Witness: c.o.Witness, Now: c.o.Now(), Version: c.o.Version}
}

func (c *Console) certification(r *http.Request) (*view, error) {
	if tid := strings.TrimSpace(param(r, "tid")); tid != "" {
		return &view{redirect: "/certification/" + url.PathEscape(tid)}, nil
	}
	body := &certificationBody{Merchant: param(r, "merchant")}
	list, err := switching.TerminalStates(r.Context(), c.o.Pool, switching.TerminalFilter{MID: body.Merchant, Offset: offset(r), Limit: listed + 1})
	if err != nil && !errors.Is(err, switching.ErrNoMerchant) {
		return nil, err
	}
	body.List, body.Pager = page(r, list, listed)
	return &view{template: "certification.html", title: "Certification", section: "certification", body: body}, nil
}

func (c *Console) checklist(r *http.Request) (*view, error) {
	list, err := c.examine(r)
	if err != nil {
		return nil, err
	}
	return &view{template: "checklist.html", title: "Certification of terminal " + list.TID, section: "certification", body: list}, nil
}

func (c *Console) examine(r *http.Request) (*certification.Checklist, error) {
	tid := r.PathValue("tid")
	list, err := certification.Examine(r.Context(), c.exam(), tid)
	if certification.IsNoTerminal(err) {
		return nil, notFound("No terminal has the TID " + truncate(tid) + ".")
	}
	return list, err
}

// reportForms are what a checklist can be taken away as.
var reportForms = map[string]struct {
	kind  string
	write func(*certification.Checklist, *bytes.Buffer) error
}{
	"md": {"text/markdown; charset=utf-8", func(l *certification.Checklist, b *bytes.Buffer) error {
		l.WriteMarkdown(b)
		return nil
	}},
	"json": {"application/json", func(l *certification.Checklist, b *bytes.Buffer) error {
		encoder := json.NewEncoder(b)
		encoder.SetIndent("", "  ")
		return encoder.Encode(l)
	}},
}

// checklistReport is the checklist as a file.
func (c *Console) checklistReport(w http.ResponseWriter, r *http.Request) {
	form, known := reportForms[r.PathValue("form")]
	if !known {
		c.fail(w, r, errNotFound)
		return
	}
	list, err := c.examine(r)
	var b bytes.Buffer
	if err == nil {
		err = form.write(list, &b)
	}
	if err != nil {
		c.fail(w, r, err)
		return
	}
	name := fmt.Sprintf("certification-%s.%s", list.TID, r.PathValue("form"))
	w.Header().Set("Content-Type", form.kind)
	w.Header().Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": name}))
	_, _ = w.Write(b.Bytes())
}

// sandboxTools are the pages that only a sandbox has.
func (c *Console) sandboxTools() []navigationItem {
	var tools []navigationItem
	if c.o.Stories != nil {
		tools = append(tools, navigationItem{"stories", "/stories", "Stories"})
	}
	if c.o.Witness != nil {
		tools = append(tools, navigationItem{"certification", "/certification", "Certification"})
	}
	return slices.Clip(tools)
}
