package console

import (
	"errors"
	"html/template"
	"io/fs"
	"net/http"
	"path"
	"regexp"
	"strings"

	"meridian/host/wire"
)

// documentsBody lists the documents and the field tables.
type documentsBody struct {
	Documents []document
	Dialects  []string
}

// document is a Markdown file with its heading.
type document struct{ Name, Title string }

// documentBody is one document.
type documentBody struct{ Content template.HTML }

var (
	documentName = regexp.MustCompile(`^[a-z0-9-]+$`)
	// dialects whose tables are shown.
	documented = []string{wire.NameNAC, wire.NameASCII87, wire.NameUnionPay}
)

func (c *Console) documents(*http.Request) (*view, error) {
	body := &documentsBody{Dialects: documented}
	if c.o.Documents != nil {
		names, err := fs.Glob(c.o.Documents, "*.md")
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			if name == "README.md" {
				continue // it is this list
			}
			text, err := fs.ReadFile(c.o.Documents, name)
			if err != nil {
				return nil, err
			}
			body.Documents = append(body.Documents, document{strings.TrimSuffix(name, ".md"), titleOf(string(text), name)})
		}
	}
	return &view{template: "documents.html", title: "Documentation", section: "documents", body: body}, nil
}

// titleOf a document is its first heading.
func titleOf(text, name string) string {
	for line := range strings.Lines(text) {
		if title, is := strings.CutPrefix(line, "# "); is {
			return strings.TrimSpace(title)
		}
	}
	return name
}

func (c *Console) document(r *http.Request) (*view, error) {
	name := r.PathValue("name")
	if c.o.Documents == nil || !documentName.MatchString(name) {
		return nil, notFound("There is no document “" + truncate(name) + "”.")
	}
	text, err := fs.ReadFile(c.o.Documents, name+".md")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, notFound("There is no document “" + truncate(name) + "”.")
	}
	if err != nil {
		return nil, err
	}
	body := &documentBody{Content: markdown(string(text), documentLink)}
	return &view{template: "document.html", title: titleOf(string(text), name), section: "documents", body: body}, nil
}

// documentLink is where a document's link leads here; nothing for what is not
// here: the console leads nowhere else.
func documentLink(target string) string {
	file, fragment, _ := strings.Cut(target, "#")
	if fragment != "" {
		fragment = "#" + fragment
	}
	switch name, isDocument := strings.CutSuffix(file, ".md"); {
	case file == "":
		return fragment
	case isDocument && name == "README":
		return "/documentation"
	case isDocument && path.Base(name) == name && documentName.MatchString(name):
		return "/documentation/" + name + fragment
	default:
		return ""
	}
}

// fieldsBody is a dialect's field table, as the code parses it.
type fieldsBody struct {
	Dialect string
	Fields  []fieldRow
}

// fieldRow is one field: ISO 8583's notation of what it holds.
type fieldRow struct {
	wire.FieldInfo

	Unit string
}

func (c *Console) fields(r *http.Request) (*view, error) {
	name := r.PathValue("dialect")
	spec := specOf(name)
	if spec == nil {
		return nil, notFound("There is no dialect “" + truncate(name) + "”.")
	}
	body := &fieldsBody{Dialect: name}
	const last = 128
	for number := 0; number <= last; number++ {
		if info := spec.Describe(number); info.Kind != wire.KindUndefined {
			body.Fields = append(body.Fields, fieldRow{info, unitOf(info.Kind)})
		}
	}
	return &view{template: "fields.html", title: "Fields of " + name, section: "documents", body: body}, nil
}

func unitOf(k wire.Kind) string {
	switch k {
	case wire.KindNumeric, wire.KindTrack:
		return "digits"
	case wire.KindBinary:
		return "bytes"
	default:
		return "characters"
	}
}
