package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/rouse-dev/rouse/cli/build"
	"github.com/rouse-dev/rouse/cli/project"
	"github.com/spf13/cobra"
)

// templateInline is the longest template that CloudFormation takes in a request; a longer one goes by way of an artifact.
const templateInline = 51_200

// deployment is one application on its way to a node.
type deployment struct {
	a          *app
	c          *client
	project    project.Project
	work       string // folder of built artifacts
	parameters map[string]string
	noPlan     bool // do not list what changes
	noProgress bool // do not show steps: other lines come meanwhile

	runtimes map[string]string // of the functions that were built, by logical id
}

// outcome is what a deployment did.
type outcome struct {
	Stack   string        `json:"stack"`
	Changed []change      `json:"changes"`
	Outputs []output      `json:"outputs"`
	Took    time.Duration `json:"-"`
	watch   []string
}

// change is a line of a plan.
type change struct {
	Action       string // Add, Modify, Remove
	LogicalID    string `json:"LogicalResourceId"`
	ResourceType string
	Replacement  string
}

func (a *app) deployCommand() *cobra.Command {
	var name string
	var params []string
	var plan bool
	cmd := a.jsonFlag(&cobra.Command{
		Use:   "deploy [TEMPLATE | FILE | DIR]",
		Short: "Build an application and put it on a node",
		Long: "Build what a template names (npm, pip, esbuild, go build), show what will change, and change it: all of it, or nothing. " +
			"What Rouse does not implement is refused before anything is touched.",
		Example: "  rouse deploy\n  rouse deploy template.yaml --name shop-test -p CouponSecret=s3cret\n  rouse deploy --plan",
		Args:    atMost(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			parameters, err := parseParameters(params)
			if err != nil {
				return err
			}
			c, err := a.client()
			if err != nil {
				return err
			}
			path := a.dir()
			if len(args) == 1 {
				path = a.path(args[0])
			}
			if _, err := c.status(cmd.Context()); err != nil { // before anything is built
				return err
			}
			d, err := a.deployment(cmd.Context(), c, path)
			if err != nil {
				return usageError("%w", err)
			}
			if name != "" {
				d.project.Name = name
			}
			d.parameters = parameters
			if plan {
				return d.plan(cmd.Context())
			}
			return d.run(cmd.Context())
		},
	})
	cmd.Flags().StringVarP(&name, "name", "n", "", "`NAME` of the stack (default: the folder's)")
	cmd.Flags().StringArrayVarP(&params, "parameter", "p", nil, "a template parameter, `NAME=VALUE`; may be repeated")
	cmd.Flags().BoolVar(&plan, "plan", false, "show what would change and change nothing")
	return cmd
}

func parseParameters(list []string) (map[string]string, error) {
	m := map[string]string{}
	for _, p := range list {
		name, value, ok := strings.Cut(p, "=")
		if !ok || name == "" {
			return nil, usageError("parameter %q: want NAME=VALUE", p)
		}
		m[name] = value
	}
	return m, nil
}

// deployment finds the application at a path.
func (a *app) deployment(ctx context.Context, c *client, path string) (*deployment, error) {
	p, err := project.Find(path, c.installed(ctx))
	if err != nil {
		return nil, err
	}
	work, err := a.workFolder(p)
	if err != nil {
		return nil, err
	}
	return &deployment{a: a, c: c, project: p, work: work, parameters: map[string]string{}}, nil
}

// workFolder is where artifacts of a project are built: beside it, among the rest of Rouse's files.
func (a *app) workFolder(p project.Project) (string, error) {
	dir := filepath.Join(p.Dir, ".rouse", "build")
	if p.Only != "" {
		dir = filepath.Join(a.dir(), ".rouse", "build")
	}
	if err := os.MkdirAll(dir, 0o755); err == nil {
		return dir, nil
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	dir = filepath.Join(cache, "rouse", "build", p.Name)
	return dir, os.MkdirAll(dir, 0o755)
}

// installed names, per language, a runtime that the node has exactly, so that what is asked for is what is given.
func (c *client) installed(ctx context.Context) project.Runtimes {
	rows, err := c.runtimes(ctx)
	return func(language string) string {
		prefix, fallback := "nodejs", "nodejs22.x"
		if language == "python" {
			prefix, fallback = "python", "python3.13"
		}
		if err != nil {
			return fallback
		}
		for _, r := range rows {
			for _, e := range r.Exact {
				if strings.HasPrefix(e, prefix) {
					return e
				}
			}
		}
		return fallback
	}
}

// run deploys and prints what came of it.
func (d *deployment) run(ctx context.Context) error {
	out, err := d.deploy(ctx)
	if err != nil {
		return err
	}
	if d.a.json {
		return d.a.printJSON(out)
	}
	if len(out.Changed) == 0 {
		fmt.Fprintf(d.a.Out, "%s is up to date.\n", d.a.style.strong(out.Stack))
	} else {
		fmt.Fprintf(d.a.Out, "%s deployed in %s.\n", d.a.style.strong(out.Stack), short(out.Took))
	}
	d.a.printOutputs(out.Outputs)
	return nil
}

func (a *app) printOutputs(outputs []output) {
	for _, o := range outputs {
		a.fact(o.OutputKey, o.OutputValue)
	}
}

// plan shows what a deployment would change.
func (d *deployment) plan(ctx context.Context) error {
	template, _, err := d.prepare(ctx)
	if err != nil {
		return err
	}
	set, err := d.changeSet(ctx, template)
	if err != nil {
		return err
	}
	if set.id != "" {
		defer d.drop(context.WithoutCancel(ctx), set)
	}
	if d.a.json {
		return d.a.printJSON(map[string]any{"stack": d.project.Name, "changes": orEmpty(set.changes)})
	}
	d.printPlan(ctx, d.a.Out, set.changes)
	return nil
}

// deploy brings the application to the node and waits until it is there.
func (d *deployment) deploy(ctx context.Context) (outcome, error) {
	began := time.Now()
	template, watch, err := d.prepare(ctx)
	if err != nil {
		return outcome{watch: watch}, err
	}
	set, err := d.changeSet(ctx, template)
	if err != nil {
		return outcome{watch: watch}, err
	}
	out := outcome{Stack: d.project.Name, Changed: orEmpty(set.changes), watch: watch}
	if set.id != "" {
		if !d.noPlan && !d.a.json {
			d.printPlan(ctx, d.a.Err, set.changes)
		}
		if err := d.execute(ctx, set); err != nil {
			return out, err
		}
	}
	s, err := d.c.stack(ctx, d.project.Name)
	if err != nil {
		return out, err
	}
	out.Outputs, out.Took = s.Outputs, time.Since(began)
	return out, nil
}

// prepare builds and uploads, and returns the template to deploy.
func (d *deployment) prepare(ctx context.Context) (template []byte, watch []string, err error) {
	p := d.progress()
	defer p.end()
	res, err := build.Build(ctx, d.project.Text, build.Config{Dir: d.project.Dir, Work: d.work, Only: d.project.Only,
		Environ: d.a.Environ, Step: p.step})
	d.runtimes = res.Runtimes
	if err != nil {
		return nil, res.Watch, d.located(err)
	}
	for _, artifact := range res.Artifacts {
		if err := d.upload(ctx, artifact, p); err != nil {
			return nil, res.Watch, fmt.Errorf("upload the code of %s: %w", artifact.For, err)
		}
	}
	return res.Template, res.Watch, nil
}

// upload brings an artifact to the node unless it is there already.
func (d *deployment) upload(ctx context.Context, artifact build.Artifact, p *progress) error {
	path := "/_rouse/api/assets/" + artifact.Hash
	resp, err := d.c.do(ctx, http.MethodGet, path, "rouse", nil, nil)
	if err == nil {
		return resp.Body.Close()
	}
	var e *apiError
	if !errors.As(err, &e) || e.Status != http.StatusNotFound {
		return err
	}
	p.step("upload " + artifact.For + ", " + size(artifact.Size))
	b, err := os.ReadFile(artifact.File)
	if err != nil {
		return err
	}
	resp, err = d.c.do(ctx, http.MethodPut, path, "rouse", b, map[string]string{"Content-Type": "application/zip"})
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

// set is a change set: what a deployment would do.
type set struct {
	id      string // "" when nothing would change
	fresh   bool   // the stack is new
	changes []change
}

// noChanges are the reasons of a change set that is empty.
var noChanges = []string{"No updates are to be performed", "didn't contain changes"}

// changeSet asks what the template would change.
func (d *deployment) changeSet(ctx context.Context, template []byte) (set, error) {
	s, err := d.c.stack(ctx, d.project.Name)
	fresh := isNoStack(err) || err == nil && s.StackStatus == "REVIEW_IN_PROGRESS"
	if err != nil && !fresh {
		return set{}, err
	}
	if err == nil && s.StackStatus == "ROLLBACK_COMPLETE" {
		if err := d.c.deleteStack(ctx, d.project.Name, nil); err != nil {
			return set{}, err
		}
		fresh = true
	}
	in := map[string]any{"StackName": d.project.Name, "ChangeSetName": fmt.Sprintf("rouse-%d", time.Now().UnixNano()),
		"ChangeSetType": "UPDATE", "Capabilities": []string{"CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"}}
	if fresh {
		in["ChangeSetType"] = "CREATE"
	}
	if err := d.addTemplate(ctx, in, template); err != nil {
		return set{}, err
	}
	if len(d.parameters) > 0 {
		var list []map[string]string
		for k, v := range d.parameters {
			list = append(list, map[string]string{"ParameterKey": k, "ParameterValue": v})
		}
		in["Parameters"] = list
	}
	var made struct{ Id string }
	if err := d.c.call(ctx, "cloudformation", "CreateChangeSet", in, &made); err != nil {
		return set{}, d.located(err)
	}
	return d.describe(ctx, made.Id, fresh)
}

// place is where an error in a template begins: "template:12:3: ".
var place = regexp.MustCompile(`(?m)^template:\d+:\d+: `)

// located puts the template's path where an error names a place in it. A template that was written for code without one is
// not the user's, so there the place is left out.
func (d *deployment) located(err error) error {
	if err == nil {
		return nil
	}
	text := place.ReplaceAllStringFunc(err.Error(), func(at string) string {
		if d.project.Template == "" {
			return ""
		}
		return d.a.near(d.project.Template) + strings.TrimPrefix(at, "template")
	})
	if text == err.Error() {
		return err
	}
	return &exitError{ExitFailed, errors.New(text)}
}

func (d *deployment) addTemplate(ctx context.Context, in map[string]any, template []byte) error {
	if len(template) <= templateInline {
		in["TemplateBody"] = string(template)
		return nil
	}
	hash := hashOf(template)
	resp, err := d.c.do(ctx, http.MethodPut, "/_rouse/api/assets/"+hash, "rouse", template, map[string]string{"Content-Type": "text/yaml"})
	if err != nil {
		return err
	}
	in["TemplateURL"] = "rouse-asset:" + hash
	return resp.Body.Close()
}

func (d *deployment) describe(ctx context.Context, id string, fresh bool) (set, error) {
	out := set{id: id, fresh: fresh}
	in := map[string]any{"ChangeSetName": id}
	for {
		var page struct {
			Status, StatusReason, NextToken string
			Changes                         []struct{ ResourceChange change }
		}
		if err := d.c.call(ctx, "cloudformation", "DescribeChangeSet", in, &page); err != nil {
			return set{}, err
		}
		if page.Status == "FAILED" {
			d.drop(ctx, out)
			if slices.ContainsFunc(noChanges, func(s string) bool { return strings.Contains(page.StatusReason, s) }) {
				return set{}, nil
			}
			return set{}, d.located(&apiError{Message: page.StatusReason})
		}
		if strings.HasSuffix(page.Status, "_IN_PROGRESS") || strings.HasSuffix(page.Status, "_PENDING") {
			if err := pause(ctx, 50*time.Millisecond); err != nil {
				return set{}, err
			}
			out.changes = nil
			continue
		}
		for _, ch := range page.Changes {
			out.changes = append(out.changes, ch.ResourceChange)
		}
		if page.NextToken == "" {
			return out, nil
		}
		in["NextToken"] = page.NextToken
	}
}

// drop forgets a change set that is not going to be used; a stack that was only planned goes with it.
func (d *deployment) drop(ctx context.Context, s set) {
	if s.id != "" {
		_ = d.c.call(ctx, "cloudformation", "DeleteChangeSet", map[string]any{"ChangeSetName": s.id}, nil)
	}
	if s.fresh {
		_ = d.c.call(ctx, "cloudformation", "DeleteStack", map[string]any{"StackName": d.project.Name}, nil)
	}
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// printPlan prints what will change, and which functions will not run on what they ask for.
func (d *deployment) printPlan(ctx context.Context, w io.Writer, changes []change) {
	st := d.a.errStyle
	if w == d.a.Out {
		st = d.a.style
	}
	if len(changes) == 0 {
		fmt.Fprintf(w, "%s is up to date.\n", st.strong(d.project.Name))
		return
	}
	width := 0
	for _, c := range changes {
		width = max(width, len(c.LogicalID))
	}
	interpreters, _ := d.c.runtimes(ctx, slices.Collect(maps.Values(d.runtimes))...) // who may not ask sees the plan alone
	for _, c := range changes {
		mark := map[string]string{"Add": st.good("+"), "Modify": st.warn("~"), "Remove": st.bad("-")}[c.Action]
		note := ""
		if c.Replacement == "True" {
			note = st.warn("  replaced")
		}
		if by, nearest := serving(d.runtimes[c.LogicalID], interpreters); nearest != "" && c.Action != "Remove" {
			note += "  " + d.runtimes[c.LogicalID] + st.warn(by) + st.dim(nearest)
		}
		fmt.Fprintf(w, "  %s %s  %s%s\n", mark, pad(c.LogicalID, width), st.dim(c.ResourceType), note)
	}
}
