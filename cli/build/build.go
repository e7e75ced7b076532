// Package build turns the local code that a template names into artifacts, and the template into one that names them.
//
//	template ──find──► parts (function or layer, folder, method) ──► built folder ──zip──► artifact, named by its SHA-256
//	    │                                                                                     │
//	    └────────────────── the same text, each local path replaced by s3://rouse-assets/HASH ◄┘
//
// Paths are replaced in the text itself, in their own lines, so that a line number in a later error is the user's own.
// Nothing is written beside the user's code: what a method builds goes to a folder of its own under the work folder, and
// is used again while the sources are unchanged. Zips are the same bytes for the same files, so an unchanged function is
// neither uploaded nor deployed again.
//
// Methods follow `sam build`: esbuild, go1.x, makefile by Metadata.BuildMethod; without one, npm for a package.json with
// dependencies, pip for a requirements.txt, go build for a go.mod under a provided runtime, and a plain copy else.
// Tools run with the user's own environment, because the code is the user's own.
package build

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// Config of a build.
type Config struct {
	Dir     string    // folder that relative paths start from
	Work    string    // folder for what is built; kept between builds
	Only    string    // the one file of Dir that is code; "" for all
	Arch    string    // GOARCH of the functions: "amd64", "arm64"
	Environ []string  // of the tools
	Log     io.Writer // what tools print
	Step    func(what string)
}

// Artifact is a zip to upload.
type Artifact struct {
	Hash string // SHA-256 in hex
	File string // where it is
	Size int64
	For  string // logical id of the first resource that uses it
}

// Result is what a build made.
type Result struct {
	Template  []byte // with artifacts in the place of local paths
	Artifacts []Artifact
	Watch     []string // folders and files whose change asks for another build
}

// bucket is where artifacts are found by deployments.
const bucket = "rouse-assets"

// part is one local path of the template.
type part struct {
	id       string     // logical id; "Globals" for a default
	kind     string     // resource type
	node     *yaml.Node // the scalar to replace
	asCode   bool       // replaced by {S3Bucket, S3Key} rather than by a URI
	path     string     // absolute
	runtime  string
	handler  string
	method   string
	settings settings
}

// settings are Metadata.BuildProperties of esbuild.
type settings struct {
	EntryPoints  []string
	External     []string
	Loader       []string
	Define       []string
	MainFields   any
	OutExtension []string
	Format       string
	Target       string
	Minify       *bool
	Sourcemap    *bool
	KeepNames    bool
}

// Build builds what the template names. Errors name the resource and, from tools, what they printed.
func Build(ctx context.Context, text []byte, cfg Config) (Result, error) {
	parts, err := find(text, cfg.Dir)
	if err != nil {
		return Result{}, err
	}
	res := Result{Template: text}
	made := map[string]Artifact{}
	var edits []edit
	for _, p := range parts {
		a, ok := made[p.key()]
		if !ok {
			if a, err = cfg.make(ctx, p); err != nil {
				return Result{}, fmt.Errorf("%s: %w", p.id, err)
			}
			made[p.key()] = a
			res.Artifacts = append(res.Artifacts, a)
		}
		res.Watch = append(res.Watch, p.path)
		edits = append(edits, p.edit(a.Hash))
	}
	if res.Template, err = apply(text, edits); err != nil {
		return Result{}, err
	}
	return res, cfg.prune(res.Artifacts)
}

// prune removes the zips of earlier builds.
func (cfg Config) prune(keep []Artifact) error {
	zips, err := filepath.Glob(filepath.Join(cfg.Work, "*.zip"))
	if err != nil {
		return err
	}
	for _, z := range zips {
		if !slices.ContainsFunc(keep, func(a Artifact) bool { return a.File == z }) {
			if err := os.Remove(z); err != nil {
				return err
			}
		}
	}
	return nil
}

// key is the same for parts that are built the same way from the same path.
func (p part) key() string {
	id := ""
	if p.method != "" {
		id = p.id
	}
	return strings.Join([]string{p.path, p.method, p.language(), id}, "\x00")
}

// language is what decides how a part without a method is built.
func (p part) language() string {
	switch {
	case strings.HasSuffix(p.kind, "LayerVersion"):
		return "layer"
	case strings.HasPrefix(p.runtime, "nodejs"):
		return "node"
	case strings.HasPrefix(p.runtime, "python"):
		return "python"
	case strings.HasPrefix(p.runtime, "provided"):
		return "provided"
	}
	return ""
}

// make builds one part and packs it.
func (cfg Config) make(ctx context.Context, p part) (Artifact, error) {
	st, err := os.Stat(p.path)
	if err != nil {
		return Artifact{}, fmt.Errorf("its code %s: %w", p.path, err)
	}
	if !st.IsDir() {
		return cfg.file(p)
	}
	dir, err := cfg.built(ctx, p)
	if err != nil {
		return Artifact{}, err
	}
	return cfg.pack(p, dir)
}

// file takes a part that is one file: an archive as it is, anything else packed alone.
func (cfg Config) file(p part) (Artifact, error) {
	switch filepath.Ext(p.path) {
	case ".zip", ".jar":
		return hashed(p.path, p.id)
	}
	return cfg.packFiles(p.id, filepath.Dir(p.path), []string{filepath.Base(p.path)})
}
