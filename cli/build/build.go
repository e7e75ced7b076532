// Package build turns the local code that a template names into artifacts, and the template into one that names them.
//
//	template ──find──► parts (function or layer, path, method) ──► tree of files ──zip──► artifact, named by its SHA-256
//	    │                                                                                    │
//	    └────────────────── the same text, each local path replaced by s3://rouse-assets/HASH ◄┘
//
// Paths are replaced in the text itself, in their own lines, so that a line number in a later error is the user's own.
// Nothing is written beside the user's code: what a method makes goes to a folder of its own under the work folder. A tree
// is put together from what a method made and from the code as it stands, so that an edit of a handler does not install its
// packages again. Zips are the same bytes for the same files, so an unchanged function is neither packed, nor uploaded, nor
// deployed again.
//
// Methods follow `sam build`: esbuild, go1.x, makefile by Metadata.BuildMethod; without one, npm for a package.json with
// dependencies, pip for a requirements.txt, go build for a go.mod under a provided runtime, and a plain copy else.
// Tools run with the user's own environment, because the code is the user's own. Parts are built side by side.
//
// Two builds at once in one work folder disturb each other; everything else is safe for concurrent use. A build that was
// cut off leaves nothing that a later one would take for whole.
package build

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"

	"go.yaml.in/yaml/v4"
)

// Config of a build.
type Config struct {
	Dir     string            // folder that relative paths start from
	Work    string            // folder for what is built; kept between builds
	Only    string            // the one file of Dir that is code; "" for all
	Arch    string            // GOARCH of the functions; default this machine's
	Environ []string          // of the tools
	Step    func(what string) // told what is being done, from several goroutines; may be nil
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
	Watch     []string          // folders and files whose change asks for another build; told of a failed build too
	Runtimes  map[string]string // that functions with local code name, by logical id
}

// bucket is where artifacts are found by deployments.
const bucket = "rouse-assets"

// part is one local path of the template.
type part struct {
	id       string     // logical id
	kind     string     // resource type
	property string     // that names the path
	node     *yaml.Node // the scalar to replace
	asCode   bool       // replaced by {S3Bucket, S3Key} rather than by a URI
	path     string     // absolute
	runtime  string
	handler  string
	method   string
	settings []setting
}

// setting is one of Metadata.BuildProperties, in the order of the template.
type setting struct {
	name   string // "EntryPoints"
	values []string
	list   bool
}

// Build builds what the template names. Errors name the resource, its place in the template as "template:LINE:COLUMN" and,
// from tools, what they printed.
func Build(ctx context.Context, text []byte, cfg Config) (Result, error) {
	if cfg.Arch == "" {
		cfg.Arch = runtime.GOARCH
	}
	if cfg.Step == nil {
		cfg.Step = func(string) {}
	}
	parts, err := find(text, cfg.Dir)
	if err != nil {
		return Result{}, err
	}
	res := Result{Template: text, Runtimes: map[string]string{}}
	for _, p := range parts {
		if p.runtime != "" && !p.layer() {
			res.Runtimes[p.id] = p.runtime
		}
		res.Watch = append(res.Watch, cfg.sources(p)...)
	}
	slices.Sort(res.Watch)
	res.Watch = slices.Compact(res.Watch)
	made, err := cfg.makeAll(ctx, parts)
	if err != nil {
		return res, err
	}
	var edits []edit
	for _, p := range parts {
		a := made[p.key()]
		if a.For == p.id {
			res.Artifacts = append(res.Artifacts, a)
		}
		edits = append(edits, p.edit(a.Hash))
	}
	if res.Template, err = apply(text, edits); err != nil {
		return res, err
	}
	return res, cfg.prune(res.Artifacts)
}

// makeAll makes each different part once, as many at a time as there are processors. All errors are told, in the order
// of the template: who mends one wants to know of the next.
func (cfg Config) makeAll(ctx context.Context, parts []part) (map[string]Artifact, error) {
	type outcome struct {
		artifact Artifact
		err      error
	}
	var different []part
	for _, p := range parts {
		if !slices.ContainsFunc(different, func(q part) bool { return q.key() == p.key() }) {
			different = append(different, p)
		}
	}
	outcomes := make([]outcome, len(different))
	slots := make(chan struct{}, runtime.GOMAXPROCS(0))
	var wg sync.WaitGroup
	for i, p := range different {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			outcomes[i].artifact, outcomes[i].err = cfg.make(ctx, p)
		})
	}
	wg.Wait()
	made := map[string]Artifact{}
	var errs []error
	for i, p := range different {
		made[p.key()] = outcomes[i].artifact
		if outcomes[i].err != nil {
			errs = append(errs, p.wrong("%w", outcomes[i].err))
		}
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return made, errors.Join(errs...)
}

// wrong is an error of a part, with its place.
func (p part) wrong(format string, args ...any) error {
	return fmt.Errorf("template:%d:%d: %s: %s: %w", p.node.Line, p.node.Column, p.id, p.property, fmt.Errorf(format, args...))
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
	k := []string{p.path, p.method, p.language()}
	switch p.method {
	case "makefile": // has a target for each
		k = append(k, p.id)
	case "esbuild":
		k = append(k, fmt.Sprint(p.settings))
		if p.setting("EntryPoints") == nil {
			k = append(k, p.handler)
		}
	}
	return strings.Join(k, "\x00")
}

// setting is a value of Metadata.BuildProperties, nil when it is not there.
func (p part) setting(name string) *setting {
	for i := range p.settings {
		if p.settings[i].name == name {
			return &p.settings[i]
		}
	}
	return nil
}

// language is what decides how a part without a method is built.
func (p part) language() string {
	switch {
	case p.layer():
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

func (p part) layer() bool { return strings.HasSuffix(p.kind, "LayerVersion") }

// make builds one part and packs it.
func (cfg Config) make(ctx context.Context, p part) (Artifact, error) {
	st, err := os.Stat(p.path)
	if errors.Is(err, os.ErrNotExist) {
		return Artifact{}, fmt.Errorf("there is no file or folder %s", p.path)
	}
	if err != nil {
		return Artifact{}, err
	}
	if !st.IsDir() {
		switch filepath.Ext(p.path) {
		case ".zip", ".jar": // an archive, as it is
			return hashed(p.path, p.id)
		}
		return cfg.pack(p, []root{{dir: filepath.Dir(p.path), only: filepath.Base(p.path)}})
	}
	method, err := cfg.choose(p)
	if err != nil {
		return Artifact{}, err
	}
	roots, err := method(ctx, p)
	if err != nil {
		return Artifact{}, err
	}
	return cfg.pack(p, roots)
}

// code is a part's own files.
func (cfg Config) code(p part) root {
	r := root{dir: p.path}
	if cfg.Only != "" && p.path == cfg.Dir {
		r.only = cfg.Only
	}
	return r
}

// sources are what a part is built from: its code, and for methods that reach beyond it, what they may reach.
func (cfg Config) sources(p part) []string {
	code := cfg.code(p)
	switch {
	case code.only != "":
		return []string{filepath.Join(code.dir, code.only)}
	case p.method == "esbuild" || p.method == "makefile":
		return []string{p.path, cfg.Dir}
	case p.method == "go1.x":
		return []string{moduleOf(p.path)}
	}
	return []string{p.path}
}

// place is a folder under the work folder for what a part's method makes.
func (cfg Config) place(p part, what string) string {
	name := p.id
	if strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") != "" || name == "" {
		name = "_" + sum(name)[:16] // no logical id: the deployment will say so; here it names a folder
	}
	return filepath.Join(cfg.Work, name+"."+what)
}
