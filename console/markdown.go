package console

import (
	"fmt"
	"html/template"
	"regexp"
	"strings"
)

// markdown renders the part of Markdown that our documents are written in:
// headings, paragraphs, lists, tables, code, emphasis and links. What it does not
// know stays text, and every text is escaped: a document cannot bring markup of
// its own.
func markdown(text string, link func(target string) string) template.HTML {
	m := markdownWriter{lines: strings.Split(strings.ReplaceAll(text, "\r\n", "\n"), "\n"), link: link}
	for m.at < len(m.lines) {
		m.block()
	}
	return template.HTML(m.out.String()) //nolint:gosec // every text in it went through inline, which escapes
}

type markdownWriter struct {
	lines []string
	at    int
	out   strings.Builder
	link  func(target string) string
}

var (
	headingLine = regexp.MustCompile(`^(#{1,4}) +(.*)$`)
	itemLine    = regexp.MustCompile(`^( *)(?:[-*]|([0-9]+)\.) +(.*)$`)
	tableRule   = regexp.MustCompile(`^\|[ :|-]+\|$`)
)

func (m *markdownWriter) block() {
	line := m.lines[m.at]
	switch {
	case strings.TrimSpace(line) == "":
		m.at++
	case strings.HasPrefix(line, "```"):
		m.code()
	case headingLine.MatchString(line):
		parts := headingLine.FindStringSubmatch(line)
		level := len(parts[1])
		fmt.Fprintf(&m.out, "<h%d id=\"%s\">%s</h%d>\n", level, anchor(parts[2]), m.inline(parts[2]), level)
		m.at++
	case strings.HasPrefix(line, "|"):
		m.table()
	case itemLine.MatchString(line):
		m.list(len(itemLine.FindStringSubmatch(line)[1]))
	default:
		m.paragraph()
	}
}

// code between fences, as it stands.
func (m *markdownWriter) code() {
	m.out.WriteString(`<pre tabindex="0"><code>`)
	for m.at++; m.at < len(m.lines) && !strings.HasPrefix(m.lines[m.at], "```"); m.at++ {
		m.out.WriteString(template.HTMLEscapeString(m.lines[m.at]) + "\n")
	}
	m.at++
	m.out.WriteString("</code></pre>\n")
}

func (m *markdownWriter) paragraph() {
	var text []string
	for ; m.at < len(m.lines); m.at++ {
		line := m.lines[m.at]
		if strings.TrimSpace(line) == "" || strings.HasPrefix(line, "```") || strings.HasPrefix(line, "|") ||
			headingLine.MatchString(line) || itemLine.MatchString(line) {
			break
		}
		text = append(text, strings.TrimSpace(line))
	}
	m.out.WriteString("<p>" + m.inline(strings.Join(text, " ")) + "</p>\n")
}

// list of items at one depth; deeper ones are lists inside.
func (m *markdownWriter) list(depth int) {
	tag := "ul"
	if itemLine.FindStringSubmatch(m.lines[m.at])[2] != "" {
		tag = "ol"
	}
	m.out.WriteString("<" + tag + ">\n")
	for m.at < len(m.lines) {
		parts := itemLine.FindStringSubmatch(m.lines[m.at])
		if parts == nil {
			break
		}
		if numbered := parts[2] != ""; len(parts[1]) != depth || numbered != (tag == "ol") {
			break
		}
		text := []string{parts[3]}
		for m.at++; m.at < len(m.lines); m.at++ {
			line := m.lines[m.at]
			if strings.TrimSpace(line) == "" || itemLine.MatchString(line) || !strings.HasPrefix(line, " ") {
				break
			}
			text = append(text, strings.TrimSpace(line))
		}
		m.out.WriteString("<li>" + m.inline(strings.Join(text, " ")))
		if inner := m.nextItem(); inner > depth {
			m.list(inner)
		}
		m.out.WriteString("</li>\n")
		if m.nextItem() < 0 {
			break
		}
	}
	m.out.WriteString("</" + tag + ">\n")
}

// nextItem skips blank lines before another item and returns its depth; -1 where
// something else comes.
func (m *markdownWriter) nextItem() int {
	for i := m.at; i < len(m.lines); i++ {
		if strings.TrimSpace(m.lines[i]) == "" {
			continue
		}
		if parts := itemLine.FindStringSubmatch(m.lines[i]); parts != nil {
			m.at = i
			return len(parts[1])
		}
		return -1
	}
	return -1
}

func (m *markdownWriter) table() {
	m.out.WriteString("<div class=\"wide\" tabindex=\"0\" role=\"region\" aria-label=\"Table\"><table class=\"rows\">\n")
	head := m.at+1 < len(m.lines) && tableRule.MatchString(strings.TrimSpace(m.lines[m.at+1]))
	for row := 0; m.at < len(m.lines) && strings.HasPrefix(m.lines[m.at], "|"); m.at, row = m.at+1, row+1 {
		if head && row == 1 {
			continue
		}
		cell, before, after := "td", "", ""
		if head && row == 0 {
			cell, before, after = "th scope=\"col\"", "<thead>", "</thead>"
		}
		m.out.WriteString(before + "<tr>")
		for _, text := range cells(m.lines[m.at]) {
			m.out.WriteString("<" + cell + " class=\"text\">" + m.inline(text) + "</" + cell[:2] + ">")
		}
		m.out.WriteString("</tr>" + after + "\n")
	}
	m.out.WriteString("</table></div>\n")
}

// cells of a table's row; a bar inside code or behind a backslash parts nothing.
func cells(line string) []string {
	line = strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(line), "|"), "|")
	var list []string
	var cell strings.Builder
	inCode := false
	for i := 0; i < len(line); i++ {
		switch {
		case line[i] == '\\' && i+1 < len(line) && line[i+1] == '|':
			i++
			cell.WriteByte('|')
			continue
		case line[i] == '`':
			inCode = !inCode
		case line[i] == '|' && !inCode:
			list = append(list, strings.TrimSpace(cell.String()))
			cell.Reset()
			continue
		}
		cell.WriteByte(line[i])
	}
	return append(list, strings.TrimSpace(cell.String()))
}

// Code comes first: nothing in it means anything.
var inlineMark = regexp.MustCompile("`([^`]+)`" + `|\*\*([^*]+)\*\*|\*([^*\s][^*]*)\*|\[([^\]]+)\]\(([^)\s]+)\)|<(https?://[^>\s]+)>`)

// inline renders what stands in a line, escaped.
func (m *markdownWriter) inline(text string) string {
	var out strings.Builder
	end := 0
	for _, at := range inlineMark.FindAllStringSubmatchIndex(text, -1) {
		out.WriteString(template.HTMLEscapeString(text[end:at[0]]))
		end = at[1]
		group := func(i int) string { return text[at[2*i]:at[2*i+1]] }
		switch {
		case at[2] >= 0:
			out.WriteString("<code>" + template.HTMLEscapeString(group(1)) + "</code>")
		case at[4] >= 0:
			out.WriteString("<strong>" + m.inline(group(2)) + "</strong>")
		case at[6] >= 0:
			out.WriteString("<em>" + m.inline(group(3)) + "</em>")
		case at[8] >= 0:
			if to := m.link(group(5)); to != "" {
				out.WriteString(`<a href="` + template.HTMLEscapeString(to) + `">` + m.inline(group(4)) + "</a>")
			} else {
				out.WriteString(m.inline(group(4)))
			}
		default:
			out.WriteString("<code>" + template.HTMLEscapeString(group(6)) + "</code>")
		}
	}
	return out.String() + template.HTMLEscapeString(text[end:])
}

var notInAnchor = regexp.MustCompile(`[^a-z0-9]+`)

// anchor is a heading's name in an address.
func anchor(heading string) string {
	return strings.Trim(notInAnchor.ReplaceAllString(strings.ToLower(heading), "-"), "-")
}
