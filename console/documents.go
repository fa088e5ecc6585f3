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

// documentsBody lists the documents, kind by kind, and the field tables.
type documentsBody struct {
	Shelves  []shelf
	Dialects []string
}

// shelf is a folder of documents.
type shelf struct {
	Title     string
	Documents []document
}

// document is a Markdown file with its heading.
type document struct{ Name, Title string }

// documentBody is one document.
type documentBody struct{ Content template.HTML }

var (
	documentName = regexp.MustCompile(`^(?:[a-z0-9-]+/)?[a-z0-9-]+$`)
	// dialects whose tables are shown.
	documented = []string{wire.NameNAC, wire.NameASCII87, wire.NameUnionPay}
	// shelves of documents in the order in which a reader needs them; what lies
	// in no folder is to begin with.
	shelves = []struct{ folder, title string }{
		{".", "To begin with"}, {"how-to", "How to"}, {"reference", "Reference"}, {"explanation", "Explanation"},
	}
)

func (c *Console) documents(*http.Request) (*view, error) {
	body := &documentsBody{Dialects: documented}
	for _, s := range shelves {
		list, err := c.documentsIn(s.folder)
		if err != nil {
			return nil, err
		}
		if len(list) > 0 {
			body.Shelves = append(body.Shelves, shelf{s.title, list})
		}
	}
	return &view{template: "documents.html", title: "Documentation", section: "documents", body: body}, nil
}

func (c *Console) documentsIn(folder string) (list []document, err error) {
	if c.o.Documents == nil {
		return nil, nil
	}
	names, err := fs.Glob(c.o.Documents, path.Join(folder, "*.md"))
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
		list = append(list, document{strings.TrimSuffix(name, ".md"), titleOf(string(text), name)})
	}
	return list, nil
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
	folder, name := r.PathValue("folder"), r.PathValue("name")
	name = path.Join(folder, name)
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
	body := &documentBody{Content: markdown(string(text), documentLinks(folder))}
	return &view{template: "document.html", title: titleOf(string(text), name), section: "documents", body: body}, nil
}

// documentLinks says where links of a document in a folder lead here; nowhere for
// what is not here: the console leads nowhere else.
func documentLinks(folder string) func(target string) string {
	return func(target string) string {
		file, fragment, _ := strings.Cut(target, "#")
		if fragment != "" {
			fragment = "#" + fragment
		}
		if file == "" {
			return fragment
		}
		name, isDocument := strings.CutSuffix(path.Join(folder, file), ".md")
		switch {
		case name == "README" && isDocument:
			return "/documentation"
		case isDocument && documentName.MatchString(name):
			return "/documentation/" + name + fragment
		default:
			return ""
		}
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
