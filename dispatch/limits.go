package dispatch

import (
	"sync"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/catalog"
)

// limits counts attempts in flight against the concurrency that an account has and that its functions reserved
// (https://docs.aws.amazon.com/lambda/latest/dg/lambda-concurrency.html). A function with reserved concurrency has that
// much for itself and never more; all others share what is left of the account's.
type limits struct {
	perAccount int
	reserved   func(account string) int

	mu       sync.Mutex
	inFlight map[string]*flight // guarded by mu; by account
}

type flight struct {
	shared    int            // attempts of functions without reserved concurrency
	functions map[string]int // attempts of functions with it, by name
}

// take admits one attempt of v, or says why not. release must be called once.
func (l *limits) take(v *catalog.Version) (release func(), err error) {
	unreserved := l.perAccount
	if l.reserved != nil {
		unreserved -= l.reserved(v.Account)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	f := l.inFlight[v.Account]
	if f == nil {
		f = &flight{functions: map[string]int{}}
		l.inFlight[v.Account] = f
	}
	if v.Reserved != nil {
		if f.functions[v.Name] >= *v.Reserved {
			return nil, rouse.Errorf(rouse.Throttled, "Rate Exceeded.").WithCode("ReservedFunctionConcurrentInvocationLimitExceeded")
		}
		f.functions[v.Name]++
		return func() { l.give(func() { l.leave(f, v.Name) }) }, nil
	}
	if f.shared >= unreserved {
		return nil, rouse.Errorf(rouse.Throttled, "Rate Exceeded.").WithCode("ConcurrentInvocationLimitExceeded")
	}
	f.shared++
	return func() { l.give(func() { f.shared-- }) }, nil
}

func (l *limits) give(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f()
}

func (l *limits) leave(f *flight, name string) {
	if f.functions[name]--; f.functions[name] == 0 {
		delete(f.functions, name)
	}
}
