package tables

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"github.com/spf13/cobra"
)

// What an import sends at once: DynamoDB takes 25 items in a request.
const (
	batchItems = 25
	batchBytes = 2 << 20 // of text
	batchesMax = 4       // under way
)

// Backing off from a table that does not take all yet, and when to give up.
const (
	pauseFirst = 50 * time.Millisecond
	pauseMax   = 5 * time.Second
	stuckMax   = 5 * time.Minute
)

func (sh *Shell) imports() *cobra.Command {
	var restart bool
	c := sh.own(&cobra.Command{
		Use:   "import TABLE FILE",
		Short: "Write the items of a file, a line of JSON each",
		Long: "Write the items of a file, a line of JSON each, over those of the same keys; - is standard input. An import that was " +
			"interrupted goes on where it was when it is run again: FILE.import says how far it came. Of lines with the same key the " +
			"last one counts.",
		Example: "  rouse table import Orders orders.jsonl\n  gunzip < orders.jsonl.gz | rouse table import Orders -",
		Args:    sh.args(2, 2, "a table and a file"),
		RunE: func(c *cobra.Command, args []string) error {
			t, err := sh.open(c.Context(), args[0])
			if err != nil {
				return err
			}
			i := &importer{t: t, name: args[1], results: make(chan result), keys: t.keyNames()}
			ctx, stop := signal.NotifyContext(c.Context(), syscall.SIGINT, syscall.SIGTERM)
			defer stop()
			if args[1] == "-" {
				i.name = "standard input"
				return i.run(ctx, sh.In)
			}
			file, err := os.Open(sh.Path(args[1]))
			if err != nil {
				return sh.Usage("rouse table import: %w", err)
			}
			defer file.Close()
			if err := i.resume(file, sh.Path(args[1])+".import", restart); err != nil {
				return err
			}
			return i.run(ctx, file)
		},
	})
	c.Flags().BoolVar(&restart, "restart", false, "begin at the first line, whatever was imported before")
	return c
}

// mark says how far an import came: the content of FILE.import.
type mark struct {
	Table    string    `json:"table"` // its ARN
	Size     int64     `json:"size"`  // of the file
	Modified time.Time `json:"modified"`
	Lines    int       `json:"lines"`
	Offset   int64     `json:"offset"` // all before it is written
}

// importer is one import. It belongs to the goroutine that runs it; batches are sent by goroutines that touch only their
// own.
type importer struct {
	t    *table
	name string
	keys []string

	mark     mark
	markFile string // "" when there is nothing to go on from
	saved    time.Time

	batch   *batch
	under   []*batch // sent and not answered, or answered before an earlier one
	sending int
	results chan result
	count   int
}

// batch is a run of lines.
type batch struct {
	items  []item
	lines  []int
	keys   map[string]bool
	bytes  int
	offset int64 // after its last line
	line   int
	done   bool
}

type result struct {
	b   *batch
	err error
}

// resume reads how far an earlier import of the file came, and goes there.
func (i *importer) resume(file *os.File, markFile string, restart bool) error {
	st, err := file.Stat()
	if err != nil {
		return err
	}
	if st.IsDir() {
		return i.t.sh.Usage("rouse table import: %s is a folder", i.name)
	}
	i.markFile = markFile
	i.mark = mark{Table: i.t.TableArn, Size: st.Size(), Modified: st.ModTime().UTC()}
	b, err := os.ReadFile(markFile)
	if errors.Is(err, fs.ErrNotExist) || restart {
		return nil
	}
	if err != nil {
		return err
	}
	var m mark
	if err := json.Unmarshal(b, &m); err != nil {
		return fmt.Errorf("%s: %w; --restart begins anew", markFile, err)
	}
	if m.Table != i.mark.Table || m.Size != i.mark.Size || !m.Modified.Equal(i.mark.Modified) {
		return fmt.Errorf("%s is of another table, or %s has changed since; --restart begins at the first line", markFile, i.name)
	}
	i.mark = m
	fmt.Fprintf(i.t.sh.Err, "Going on after line %d.\n", m.Lines)
	_, err = file.Seek(m.Offset, io.SeekStart)
	return err
}

// run reads lines into batches and sends them.
func (i *importer) run(ctx context.Context, from io.Reader) error {
	began := time.Now()
	i.saved = began
	step, end := i.t.sh.Progress()
	defer end()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	l := newLines(from)
	l.number, l.offset = i.mark.Lines, i.mark.Offset
	err := i.read(ctx, l, step)
	if err == nil {
		err = i.flush(ctx)
	}
	for i.sending > 0 {
		if err != nil && ctx.Err() == nil && !errors.As(err, new(*lineError)) {
			cancel()
		}
		if failed := i.wait(ctx, step); failed != nil && err == nil {
			err = failed
		}
	}
	if errors.Is(err, context.Canceled) {
		err = errors.New("interrupted")
	}
	if err != nil {
		if saved := i.save(); saved != nil {
			return errors.Join(err, saved)
		}
		if i.mark.Lines > 0 && i.markFile != "" {
			return fmt.Errorf("%w\n%d lines are imported; run it again to go on", err, i.mark.Lines)
		}
		return err
	}
	end()
	fmt.Fprintf(i.t.sh.Err, "%s imported in %s.\n", plural(i.count, "item"), took(began))
	if i.markFile == "" {
		return nil
	}
	if err := os.Remove(i.markFile); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// lineError is a mistake in a line; all before it is imported.
type lineError struct{ error }

func (i *importer) read(ctx context.Context, l *lines, step func(string)) error {
	for {
		line, ok, err := l.next()
		if err != nil || !ok {
			return err
		}
		it, err := readItem(line, i.t.sh.JSON())
		if err == nil {
			err = i.complete(it)
		}
		if err != nil {
			if flushed := i.flush(ctx); flushed != nil {
				return flushed
			}
			return &lineError{fmt.Errorf("%s:%d: %w", i.name, l.number, err)}
		}
		if err := i.add(ctx, it, l, len(line), step); err != nil {
			return err
		}
	}
}

// complete checks that an item has its key.
func (i *importer) complete(it item) error {
	for _, k := range i.keys {
		if _, ok := it[k]; !ok {
			return fmt.Errorf("the item has no %s, which is part of the key", k)
		}
	}
	return nil
}

// identity is an item's key as far as batches care: two of the same are never under way at once.
func (i *importer) identity(it item) string {
	out := ""
	for _, k := range i.keys {
		v := it[k]
		if f, err := strconv.ParseFloat(v.text, 64); err == nil && v.kind == kNumber {
			v.text = strconv.FormatFloat(f, 'g', -1, 64) // 1 is 1.0
		}
		out += string(v.kind) + strconv.Quote(v.text)
	}
	return out
}

// add puts an item into the batch, after what it must not overtake.
func (i *importer) add(ctx context.Context, it item, l *lines, size int, step func(string)) error {
	id := i.identity(it)
	if i.batch != nil && (i.batch.keys[id] || len(i.batch.items) == batchItems || i.batch.bytes+size > batchBytes) {
		if err := i.flush(ctx); err != nil {
			return err
		}
	}
	for i.sending == batchesMax || i.sending > 0 && i.busy(id) {
		if err := i.wait(ctx, step); err != nil {
			return err
		}
	}
	if i.batch == nil {
		i.batch = &batch{keys: map[string]bool{}}
	}
	b := i.batch
	b.items, b.lines, b.keys[id] = append(b.items, it), append(b.lines, l.number), true
	b.bytes, b.offset, b.line = b.bytes+size, l.offset, l.number
	return nil
}

func (i *importer) busy(id string) bool {
	for _, b := range i.under {
		if !b.done && b.keys[id] {
			return true
		}
	}
	return false
}

// flush sends the batch. The caller has made sure that there is room for it.
func (i *importer) flush(ctx context.Context) error {
	b := i.batch
	if b == nil {
		return ctx.Err()
	}
	i.batch = nil
	i.under = append(i.under, b)
	i.sending++
	go func() { i.results <- result{b, i.t.write(ctx, i.name, b)} }()
	return ctx.Err()
}

// wait takes one answer, and notes how far all is written.
func (i *importer) wait(ctx context.Context, step func(string)) error {
	r := <-i.results
	i.sending--
	if r.err != nil {
		return r.err
	}
	r.b.done = true
	i.count += len(r.b.items)
	for len(i.under) > 0 && i.under[0].done {
		i.mark.Lines, i.mark.Offset = i.under[0].line, i.under[0].offset
		i.under = i.under[1:]
	}
	if time.Since(i.saved) < sayEvery {
		return nil
	}
	i.saved = time.Now()
	text := fmt.Sprintf("%d items imported", i.count)
	if i.mark.Size > 0 {
		text += fmt.Sprintf(", %d %%", i.mark.Offset*100/i.mark.Size)
	}
	step(text)
	return i.save()
}

// save writes down how far all is written.
func (i *importer) save() error {
	if i.markFile == "" {
		return nil
	}
	b, err := json.Marshal(i.mark)
	if err != nil {
		return err
	}
	if err := os.WriteFile(i.markFile+"~", b, 0o644); err != nil {
		return err
	}
	return os.Rename(i.markFile+"~", i.markFile)
}

// write writes a batch, what is left of it again and again, ever slower. When it is refused as a whole, its items are
// written one by one, so that the one that is wrong is named and those before it are there.
func (t *table) write(ctx context.Context, name string, b *batch) error {
	puts := make([]any, len(b.items))
	for k, it := range b.items {
		puts[k] = map[string]any{"PutRequest": map[string]any{"Item": it}}
	}
	err := t.patiently(ctx, puts)
	if err == nil || t.sh.Code(err) != "ValidationException" {
		return err
	}
	for k, put := range puts {
		err := t.patiently(ctx, []any{put})
		if t.sh.Code(err) == "ValidationException" {
			return &lineError{fmt.Errorf("%s:%d: %w", name, b.lines[k], err)}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// patiently writes puts until all are written.
func (t *table) patiently(ctx context.Context, left []any) error {
	last := time.Now()
	for pause := pauseFirst; ; {
		var out struct{ UnprocessedItems map[string][]any }
		err := t.call(ctx, "dynamodb", "BatchWriteItem",
			map[string]any{"RequestItems": map[string]any{t.TableName: left}}, &out)
		switch t.sh.Code(err) {
		case "ProvisionedThroughputExceededException", "ThrottlingException", "RequestLimitExceeded", "InternalServerError":
		default:
			if err != nil {
				return err
			}
			now := out.UnprocessedItems[t.TableName]
			if len(now) == 0 {
				return nil
			}
			if len(now) < len(left) {
				last, pause = time.Now(), pauseFirst
			}
			left = now
		}
		if time.Since(last) > stuckMax {
			return fmt.Errorf("%s has taken nothing for %s", t.sh.Nick(t.TableName), stuckMax)
		}
		wait := time.NewTimer(pause/2 + rand.N(pause))
		select {
		case <-ctx.Done():
			wait.Stop()
			return ctx.Err()
		case <-wait.C:
		}
		pause = min(2*pause, pauseMax)
	}
}
