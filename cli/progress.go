package cli

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// progressAfter is how long something may take before its steps are shown.
const progressAfter = time.Second

// progress shows what is being done, from the first second on: on a terminal one line that changes, elsewhere a plain line
// for each step. The nil progress shows nothing. Safe for concurrent use.
type progress struct {
	w     io.Writer
	style style
	began time.Time

	mu    sync.Mutex
	shown bool        // guarded by mu; a line stands there
	last  string      // guarded by mu
	timer *time.Timer // guarded by mu; shows the first line
	done  bool        // guarded by mu
}

func (a *app) progress() *progress {
	return &progress{w: a.Err, style: a.errStyle, began: time.Now()}
}

func (d *deployment) progress() *progress {
	if d.noProgress {
		return nil
	}
	return d.a.progress()
}

// step says what is being done now.
func (p *progress) step(what string) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last = what
	if time.Since(p.began) >= progressAfter {
		p.show()
	} else if p.timer == nil {
		p.timer = time.AfterFunc(time.Until(p.began.Add(progressAfter)), func() {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.show()
		})
	}
}

// show draws the line. The caller holds mu.
func (p *progress) show() {
	if p.done {
		return
	}
	line := "… " + printable(p.last)
	if !p.style.terminal {
		fmt.Fprintln(p.w, line)
		return
	}
	p.shown = true
	columns, _ := p.style.size()
	fmt.Fprintf(p.w, "\r\x1b[K%s", p.style.dim(cut(line, columns-1)))
}

// end removes the line. It may be called twice.
func (p *progress) end() {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.timer != nil {
		p.timer.Stop()
	}
	if p.shown && !p.done {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
	p.done = true
}
