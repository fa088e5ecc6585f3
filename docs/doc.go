// Package docs holds the documents of Meridian, for the console to show: the
// Markdown files of this folder, as they are.
package docs

import "embed"

// Files are the documents by their names, such as void-or-refund.md.
//
//go:embed *.md
var Files embed.FS
