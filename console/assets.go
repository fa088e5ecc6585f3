package console

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strings"
)

//go:embed assets templates
var embedded embed.FS

// assets are the style sheet, the modules and the icon. Their address has their
// content in it, so that a browser keeps them for good and never mixes versions.
type assets struct {
	version string
	files   map[string][]byte
}

// assetTypes are the content types of what there is; nothing is guessed.
var assetTypes = map[string]string{
	".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml",
}

func loadAssets() (*assets, error) {
	a := &assets{files: map[string][]byte{}}
	sum := sha256.New()
	err := fs.WalkDir(embedded, "assets", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := embedded.ReadFile(name)
		if err != nil {
			return err //nolint:wrapcheck // wrapped below
		}
		short := strings.TrimPrefix(name, "assets/")
		if assetTypes[path.Ext(short)] == "" {
			return fmt.Errorf("%s has no content type", short)
		}
		a.files[short] = content
		_, _ = fmt.Fprintf(sum, "%s %d\n", short, len(content))
		_, _ = sum.Write(content)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the console's assets: %w", err)
	}
	a.version = hex.EncodeToString(sum.Sum(nil)[:6])
	return a, nil
}

// path is where a file is served.
func (a *assets) path(name string) string { return "/assets/" + a.version + "/" + name }

// ServeHTTP serves a file of this version; those of another are gone.
func (a *assets) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name, current := strings.CutPrefix(r.URL.Path, "/assets/"+a.version+"/")
	content, found := a.files[name]
	if !current || !found {
		http.NotFound(w, r)
		return
	}
	h := w.Header()
	h.Set("Content-Type", assetTypes[path.Ext(name)])
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	_, _ = w.Write(content) //nolint:gosec // embedded
}
