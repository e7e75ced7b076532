package catalog

import (
	"context"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/rouse-dev/rouse/kv"
)

const (
	prepareWorkers = 2
	prepareEvery   = 15 * time.Second // how often a node looks for what another one left unprepared
	prepareAfter   = time.Minute      // how old that must be
)

// CodeChange is what UpdateCode is asked for.
type CodeChange struct {
	Code          Code
	Architectures []string // empty: as before
	Publish       bool
	DryRun        bool   // check everything, change nothing
	RevisionID    string // "" or what $LATEST must have now
}

// UpdateCode gives $LATEST other code. The answer is $LATEST, or the version when it is published.
func (c *Catalog) UpdateCode(ctx context.Context, r Ref, ch CodeChange) (*Version, error) {
	if err := onlyFunctions(r); err != nil {
		return nil, err
	}
	old, err := c.Version(r)
	if err != nil {
		return nil, err
	}
	if !ch.Code.given() {
		return nil, invalid("Please provide a source for function code.")
	}
	if err := sameRevision(ch.RevisionID, old.RevisionID, "GetFunction/GetAlias"); err != nil {
		return nil, err
	}
	code, err := c.keep(ctx, ch.Code)
	if err != nil {
		return nil, err
	}
	take := func(tx kv.Tx, v *Version) error {
		v.setCode(code)
		if len(ch.Architectures) > 0 {
			v.Architectures = ch.Architectures
		}
		if err := c.checkArchitecture(v); err != nil {
			return err
		}
		return combined(v.CodeUnzipped, v.Layers)
	}
	if ch.DryRun {
		v := *old
		if err := take(nil, &v); err != nil {
			return nil, err
		}
		return &v, nil
	}
	return c.amend(ctx, r, ch.RevisionID, ch.Publish, take)
}

// UpdateConfig changes the settings of $LATEST.
func (c *Catalog) UpdateConfig(ctx context.Context, r Ref, s Settings, revisionID string) (*Version, error) {
	if err := onlyFunctions(r); err != nil {
		return nil, err
	}
	if s.Role != nil && c.cfg.Role != nil && isRole(*s.Role) {
		if err := c.cfg.Role(ctx, *s.Role); err != nil {
			return nil, err
		}
	}
	return c.amend(ctx, r, revisionID, false, func(tx kv.Tx, v *Version) error {
		if err := s.apply(v); err != nil {
			return err
		}
		if err := c.checkArchitecture(v); err != nil {
			return err
		}
		return c.setLayers(tx, v, s.Layers)
	})
}

// amend replaces $LATEST by what take makes of it, and starts its preparation.
func (c *Catalog) amend(ctx context.Context, r Ref, revisionID string, publish bool, take func(kv.Tx, *Version) error) (
	*Version, error) {
	n, latestID, versionID := r.name(), uuid.NewString(), uuid.NewString()
	var number uint64
	err := c.updateFunction(ctx, r, func(tx kv.Tx, h *head) error {
		if err := sameRevision(revisionID, h.Latest.RevisionID, "GetFunction/GetAlias"); err != nil {
			return err
		}
		if err := c.busy(r, h); err != nil {
			return err
		}
		old, v := h.Latest, h.Latest
		if err := take(tx, &v); err != nil {
			return err
		}
		v.RevisionID, v.LastModified = latestID, tx.Now()
		c.start(&v, old.State == Failed)
		h.Latest = v
		if err := c.hold(tx, v.holdings(), 1); err != nil {
			return err
		}
		if v.LastUpdateStatus == InProgress {
			h.Running = &old // which keeps what it holds
		} else if err := c.hold(tx, old.holdings(), -1); err != nil {
			return err
		}
		if err := c.addCode(tx, n.account, v.CodeSize-old.CodeSize); err != nil {
			return err
		}
		if !publish {
			return nil
		}
		var err error
		number, err = c.publish(tx, n, h, nil, versionID)
		return err
	})
	if err != nil {
		return nil, err
	}
	c.enqueue(n, &Version{State: Pending})
	if publish {
		r.Qualifier = formatNumber(number)
	}
	return c.Version(r)
}

// start sets the states of a version that was just made or changed.
func (c *Catalog) start(v *Version, created bool) {
	v.State, v.StateReason, v.StateReasonCode = Active, "", ""
	v.LastUpdateStatus, v.UpdateReason, v.UpdateReasonCode = Successful, "", ""
	const reason, code = "The function is being created.", "Creating"
	switch {
	case c.cfg.Prepare == nil:
	case created:
		v.State, v.StateReason, v.StateReasonCode = Pending, reason, code
		v.LastUpdateStatus = ""
	default:
		v.LastUpdateStatus, v.UpdateReason, v.UpdateReasonCode = InProgress, reason, code
	}
}

// busy refuses a change while an earlier one is being prepared.
func (c *Catalog) busy(r Ref, h *head) error {
	if h.Latest.State == Pending {
		return conflict("The operation cannot be performed at this time. The function is currently in the following state: Pending")
	}
	if h.Latest.LastUpdateStatus == InProgress {
		return conflict("The operation cannot be performed at this time. An update is in progress for resource: %s", c.ARN(r))
	}
	return nil
}

func (v *Version) unprepared() bool { return v.State == Pending || v.LastUpdateStatus == InProgress }

// enqueue asks Run to prepare a function.
func (c *Catalog) enqueue(n name, v *Version) {
	if c.cfg.Prepare == nil || !v.unprepared() {
		return
	}
	c.mu.Lock()
	if _, ok := c.waiting[n]; !ok {
		c.waiting[n] = false
	}
	c.mu.Unlock()
	c.wakeWorker()
}

func (c *Catalog) wakeWorker() {
	select {
	case c.kick <- struct{}{}:
	default:
	}
}

// noticePending takes over, at Open, what an earlier process left unprepared. Later changes are prepared by the node that
// made them.
func (c *Catalog) noticePending(f *function) {
	if c.seen == 0 {
		c.enqueue(f.name, f.asked)
	}
}

// prepareLoop prepares functions, some at a time, until ctx is done.
func (c *Catalog) prepareLoop(ctx context.Context) {
	slots := make(chan struct{}, prepareWorkers)
	defer func() { // all slots free: all workers have ended
		for range prepareWorkers {
			slots <- struct{}{}
		}
	}()
	look := time.NewTicker(prepareEvery)
	defer look.Stop()
	for {
		n, ok := c.nextWaiting()
		if !ok {
			select {
			case <-ctx.Done():
				return
			case <-c.kick:
			case <-look.C:
				c.takeOver()
			}
			continue
		}
		select {
		case <-ctx.Done():
			return
		case slots <- struct{}{}:
		}
		go func() {
			defer func() { <-slots }()
			c.prepare(ctx, n)
		}()
	}
}

func (c *Catalog) nextWaiting() (name, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for n, busy := range c.waiting {
		if !busy {
			c.waiting[n] = true
			return n, true
		}
	}
	return name{}, false
}

// takeOver finds what has waited for too long: the node that made the change is gone.
func (c *Catalog) takeOver() {
	before := c.store.Now().Add(-prepareAfter)
	for n, f := range c.functions.all {
		if f.asked.unprepared() && f.asked.LastModified.Before(before) {
			c.enqueue(n, f.asked)
		}
	}
}

// prepare asks Config.Prepare about $LATEST and records what it says.
func (c *Catalog) prepare(ctx context.Context, n name) {
	f, ok := c.functions.get(n)
	defer func() {
		c.mu.Lock()
		delete(c.waiting, n)
		c.mu.Unlock()
		// A change that came between the record and here found its function still being prepared, and was not queued.
		if now, there := c.functions.get(n); there && (!ok || now.asked.RevisionID != f.asked.RevisionID) {
			c.enqueue(n, now.asked)
		}
	}()
	if !ok || !f.asked.unprepared() {
		return
	}
	reason := c.cfg.Prepare(ctx, f.asked)
	if ctx.Err() != nil {
		return // the node stops; the next one begins anew
	}
	if err := c.settle(ctx, n, f.asked.RevisionID, reason); err != nil && ctx.Err() == nil {
		c.cfg.Logger.Error("the catalog cannot record a function's state", "fn", n.name, "err", err)
	}
}

// settle ends the preparation of the revision: failure is nil when it went well.
func (c *Catalog) settle(ctx context.Context, n name, revisionID string, failure error) error {
	return c.update(ctx, change{kindFunction, n.account, n.name}, func(tx kv.Tx) error {
		h, err := c.readHead(tx, n)
		if err != nil {
			return err
		}
		if h == nil || h.Latest.RevisionID != revisionID || !h.Latest.unprepared() {
			return errUnchanged
		}
		if h.Publishing != 0 {
			if err := c.settleVersion(tx, n, h, failure); err != nil {
				return err
			}
		}
		switch {
		case h.Latest.State == Pending:
			h.Latest.end(failure)
		case failure == nil:
			if err := c.hold(tx, h.Running.holdings(), -1); err != nil {
				return err
			}
			h.Running = nil
			h.Latest.LastUpdateStatus, h.Latest.UpdateReason, h.Latest.UpdateReasonCode = Successful, "", ""
		default:
			// The change is taken back: what ran goes on running.
			if err := c.hold(tx, h.Latest.holdings(), -1); err != nil {
				return err
			}
			if err := c.addCode(tx, n.account, h.Running.CodeSize-h.Latest.CodeSize); err != nil {
				return err
			}
			h.Latest, h.Running = *h.Running, nil
			h.Latest.RevisionID = revisionID
			h.Latest.LastUpdateStatus, h.Latest.UpdateReason, h.Latest.UpdateReasonCode = Failed, failure.Error(), "InvalidRuntime"
		}
		return write(tx, c.functionKey(n, partHead), h)
	})
}

// settleVersion gives the version that was published with the change the same fate.
func (c *Catalog) settleVersion(tx kv.Tx, n name, h *head, failure error) error {
	key := c.functionKey(n, partVersion, h.Publishing)
	h.Publishing = 0
	var v Version
	if ok, err := read(tx, key, &v); err != nil || !ok {
		return err
	}
	v.end(failure)
	return write(tx, key, &v)
}

// end sets the state of a version that was being created.
func (v *Version) end(failure error) {
	v.State, v.StateReason, v.StateReasonCode, v.LastUpdateStatus = Active, "", "", Successful
	if failure != nil {
		v.State, v.StateReason, v.StateReasonCode, v.LastUpdateStatus = Failed, failure.Error(), "InvalidRuntime", Failed
	}
}

func formatNumber(n uint64) string { return strconv.FormatUint(n, 10) }
