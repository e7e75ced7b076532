package pool

import (
	"context"
	"strings"

	"github.com/rouse-dev/rouse/sandbox"
)

// take returns an empty sandbox with this image: a spare one when there is one, and another is made in its place.
func (m *Maker) take(ctx context.Context, image []sandbox.Bind) (sandbox.Sandbox, error) {
	key := imageKey(image)
	m.mu.Lock()
	var box sandbox.Sandbox
	if list := m.spare[key]; len(list) > 0 {
		box, m.spare[key] = list[len(list)-1], list[:len(list)-1]
	}
	m.mu.Unlock()
	m.refill(key, image)
	if box != nil && !ended(box) {
		return box, nil
	}
	return m.Driver.Create(ctx, m.spec(image))
}

func (m *Maker) spec(image []sandbox.Bind) sandbox.Spec {
	return sandbox.Spec{Image: image, Egress: m.Egress, Limits: limitsOf(128, 512)}
}

// refill brings the spare sandboxes of an image back to their number, in the background, one filler per call.
func (m *Maker) refill(key string, image []sandbox.Bind) {
	want := m.Spares
	if want == 0 {
		want = 2
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.ended || len(m.spare[key]) >= want {
		return
	}
	if m.spare == nil {
		m.spare = map[string][]sandbox.Sandbox{}
	}
	m.filler.Go(func() {
		box, err := m.Driver.Create(context.Background(), m.spec(image))
		if err != nil {
			m.Logger.Error("make spare sandbox", "err", err)
			return
		}
		m.mu.Lock()
		full := m.ended || len(m.spare[key]) >= want
		if !full {
			m.spare[key] = append(m.spare[key], box)
		}
		m.mu.Unlock()
		if full {
			box.Kill()
		}
	})
}

// close ends the spare sandboxes.
func (m *Maker) close() {
	m.mu.Lock()
	m.ended = true
	m.mu.Unlock()
	m.filler.Wait()
	for _, list := range m.spare {
		for _, box := range list {
			box.Kill()
		}
	}
}

func imageKey(image []sandbox.Bind) string {
	var b strings.Builder
	for _, x := range image {
		b.WriteString(x.Source)
		b.WriteByte(0)
		b.WriteString(x.Target)
		b.WriteByte(0)
	}
	return b.String()
}

func ended(box sandbox.Sandbox) bool {
	select {
	case <-box.Done():
		return true
	default:
		return false
	}
}
