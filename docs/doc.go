// Package docs holds the documents of Meridian, for the console to show: the
// Markdown files of this folder and those in it, as they are.
package docs

import "embed"

// Files are the documents by their names, such as explanation/void-or-refund.md.
//
//go:embed *.md how-to/*.md reference/*.md explanation/*.md
var Files embed.FS
