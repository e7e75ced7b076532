package cache

import (
	"bytes"
	"math/rand/v2"

	"github.com/rouse-dev/rouse/kv"
)

// cell is a key and its value. They never change; the links are recent's.
type cell struct {
	key, value []byte
	weight     uint32 // the treap's: a node weighs no less than the nodes below it

	newer, older *cell  // guarded by recent.mu; nil: not in the list
	at           uint64 // guarded by recent.mu: when it was used last
}

func newCell(key, value []byte) *cell { return &cell{key: key, value: value, weight: rand.Uint32()} }

// size is what the cell takes of memory, which has blocks of certain sizes only.
func (c *cell) size() int64 { return int64(cap(c.key) + cap(c.value) + Overhead) }

// node is a node of the treap. It never changes once it was published.
type node struct {
	*cell
	left, right *node
}

// find is the cell of a key.
func find(n *node, key []byte) *cell {
	for n != nil {
		switch o := bytes.Compare(key, n.key); {
		case o < 0:
			n = n.left
		case o > 0:
			n = n.right
		default:
			return n.cell
		}
	}
	return nil
}

// insert is the tree with c in it, in place of old.
func insert(n *node, c *cell) (root *node, old *cell) {
	if n == nil {
		return &node{cell: c}, nil
	}
	m := *n
	switch o := bytes.Compare(c.key, n.key); {
	case o < 0:
		var l *node // made just now, so it may be changed
		if l, old = insert(n.left, c); l.weight > m.weight {
			m.left, l.right = l.right, &m
			return l, old
		}
		m.left = l
	case o > 0:
		var r *node
		if r, old = insert(n.right, c); r.weight > m.weight {
			m.right, r.left = r.left, &m
			return r, old
		}
		m.right = r
	default:
		c.weight = n.weight // the place stays
		m.cell = c
		return &m, n.cell
	}
	return &m, old
}

// remove is the tree without a key; old is the cell that was there.
func remove(n *node, key []byte) (root *node, old *cell) {
	if n == nil {
		return nil, nil
	}
	var below *node
	switch o := bytes.Compare(key, n.key); {
	case o < 0:
		if below, old = remove(n.left, key); old == nil {
			return n, nil
		}
		return &node{n.cell, below, n.right}, old
	case o > 0:
		if below, old = remove(n.right, key); old == nil {
			return n, nil
		}
		return &node{n.cell, n.left, below}, old
	}
	return merge(n.left, n.right), n.cell
}

// merge is one tree of two, all of whose keys are less than the other's.
func merge(l, r *node) *node {
	switch {
	case l == nil:
		return r
	case r == nil:
		return l
	case l.weight > r.weight:
		return &node{l.cell, l.left, merge(l.right, r)}
	}
	return &node{r.cell, merge(l, r.left), r.right}
}

// walk visits the cells of r in its order until visit says no.
func walk(n *node, r kv.Range, visit func(*cell) bool) bool {
	if n == nil {
		return true
	}
	above := bytes.Compare(n.key, r.From) >= 0
	below := r.To == nil || bytes.Compare(n.key, r.To) < 0
	first, last := n.left, n.right
	enterFirst, enterLast := above, below
	if r.Reverse {
		first, last = last, first
		enterFirst, enterLast = below, above
	}
	if enterFirst && !walk(first, r, visit) {
		return false
	}
	if above && below && !visit(n.cell) {
		return false
	}
	return !enterLast || walk(last, r, visit)
}
