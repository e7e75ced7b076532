package identity_test

import (
	"bytes"
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/identity"
	"github.com/rouse-dev/rouse/kv"
	"github.com/rouse-dev/rouse/kv/kvtest"
)

const (
	acc   = "123456789012"
	other = "999988887777"
	fn    = "arn:aws:lambda:us-east-1:123456789012:function:shop"

	trustLambda = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"lambda.amazonaws.com"},"Action":"sts:AssumeRole"}]}`
	trustRoot   = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"123456789012"},"Action":"sts:AssumeRole"}]}`
	allowInvoke = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"lambda:InvokeFunction","Resource":"*"}]}`
	denyInvoke  = `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"lambda:InvokeFunction","Resource":"*"}]}`
	allowAll    = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`
)

func sealKey() []byte { return bytes.Repeat([]byte{7}, identity.SealKeyMin) }

func open(t testing.TB, store kv.Store, change ...func(*identity.Config)) *identity.Identity {
	t.Helper()
	cfg := identity.Config{Store: store, Account: acc, SealKey: sealKey()}
	for _, c := range change {
		c(&cfg)
	}
	i, err := identity.Open(t.Context(), cfg)
	if err != nil {
		t.Fatalf("open: got %v, want no error", err)
	}
	return i
}

// world is a store with an account.
func world(t testing.TB) *identity.Identity {
	t.Helper()
	i := open(t, kvtest.Memory(t))
	if _, _, err := i.Bootstrap(t.Context()); err != nil {
		t.Fatalf("bootstrap: got %v, want no error", err)
	}
	return i
}

func must[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatalf("got %v, want no error", err)
		}
		return v
	}
}

func must2(t testing.TB) func(identity.NewAccessKey, bool, error) {
	return func(_ identity.NewAccessKey, _ bool, err error) {
		t.Helper()
		ok(t, err)
	}
}

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("got %v, want no error", err)
	}
}

// wantError checks kind, code and a part of the text.
func wantError(t testing.TB, err error, kind rouse.Kind, code, text string) {
	t.Helper()
	var e *rouse.Error
	if !errors.As(err, &e) {
		t.Fatalf("got %v, want an error of kind %v: %s", err, kind, text)
	}
	if e.Kind != kind || e.Code != code || !strings.Contains(e.Message, text) {
		t.Errorf("got %v %q %q, want %v %q %q", e.Kind, e.Code, e.Message, kind, code, text)
	}
}

func role(t testing.TB, i *identity.Identity, name, trust string) *identity.Role {
	t.Helper()
	return must[*identity.Role](t)(i.CreateRole(t.Context(), identity.NewRole{Account: acc, Name: name, Trust: trust}))
}

func user(t testing.TB, i *identity.Identity, name string) rouse.Origin {
	t.Helper()
	must[*identity.User](t)(i.CreateUser(t.Context(), identity.NewUser{Account: acc, Name: name}))
	k := must[identity.NewAccessKey](t)(i.CreateAccessKey(t.Context(), acc, name))
	return must[identity.Key](t)(i.Credentials(t.Context(), k.ID, "")).Origin
}

// session is the origin of an instance that runs as r.
func session(t testing.TB, i *identity.Identity, r *identity.Role) rouse.Origin {
	t.Helper()
	c := must[identity.Credentials](t)(i.Session(t.Context(), acc, r.ARN(), "shop", time.Hour))
	return must[identity.Key](t)(i.Credentials(t.Context(), c.AccessKeyID, c.SessionToken)).Origin
}

func invoke(policy string) []rouse.Need {
	return []rouse.Need{{Action: "lambda:InvokeFunction", Resource: fn, Policy: policy}}
}

// doubtful is a store that does not know the outcome of its next Updates: 'y' was carried out, 'n' not.
type doubtful struct {
	kv.Store
	doubt string
}

func (d *doubtful) Update(ctx context.Context, fn func(kv.Tx) error) error {
	if d.doubt == "" {
		return d.Store.Update(ctx, fn)
	}
	done := d.doubt[0] == 'y'
	d.doubt = d.doubt[1:]
	if done {
		if err := d.Store.Update(ctx, fn); err != nil {
			return err
		}
	}
	return kv.ErrUnknown
}

// TestBootstrapInDoubt: the one key that there is is told, also when the store did not know at first that it has it.
func TestBootstrapInDoubt(t *testing.T) {
	for _, doubt := range []string{"y", "n", "ny", "yyn"} {
		store := &doubtful{Store: kvtest.Memory(t)}
		i := open(t, store)
		store.doubt = doubt
		key, created, err := i.Bootstrap(t.Context())
		if err != nil || !created || key.Secret == "" {
			t.Fatalf("%s: got %v, %v; want a new key", doubt, created, err)
		}
		if k := must[identity.Key](t)(i.Credentials(t.Context(), key.ID, "")); k.Secret != key.Secret || !k.Origin.Root {
			t.Errorf("%s: got %+v, want root with its secret", doubt, k.Origin)
		}
	}
}

func TestBootstrapOnce(t *testing.T) {
	store := kvtest.Memory(t)
	i := open(t, store)
	key, created, err := i.Bootstrap(t.Context())
	if err != nil || !created || key.Secret == "" || !strings.HasPrefix(key.ID, "AKIA") {
		t.Fatalf("got %+v, %v, %v; want a new key", key, created, err)
	}
	if _, again, err := i.Bootstrap(t.Context()); again || err != nil {
		t.Errorf("second bootstrap: got %v, %v; want nothing made", again, err)
	}
	k := must[identity.Key](t)(i.Credentials(t.Context(), key.ID, ""))
	if k.Secret != key.Secret || !k.Origin.Root || k.Origin.Principal.ARN != "arn:aws:iam::123456789012:root" {
		t.Errorf("got %+v, want root with its secret", k.Origin)
	}
	reopened := open(t, store)
	if k := must[identity.Key](t)(reopened.Credentials(t.Context(), key.ID, "")); k.Secret != key.Secret {
		t.Error("after a restart the secret is another one, want the same")
	}
	if account, found := identity.AccountOfKey(key.ID); !found || account != acc {
		t.Errorf("account of %s: got %q, %v; want %s", key.ID, account, found, acc)
	}
	// The secret is not in the store.
	err = store.Snapshot(t.Context(), func(p kv.Pair) error {
		if bytes.Contains(p.Value, []byte(key.Secret)) {
			t.Errorf("key %q holds the secret in clear", p.Key)
		}
		return nil
	})
	ok(t, err)
	_, err = identity.Open(t.Context(), identity.Config{Store: store, Account: acc, SealKey: bytes.Repeat([]byte{8}, 32)})
	if err == nil || strings.Contains(err.Error(), key.Secret) {
		t.Errorf("another seal key: got %v, want an error without the secret", err)
	}
}

func TestConfig(t *testing.T) {
	for want, cfg := range map[string]identity.Config{
		"Store is missing":   {SealKey: sealKey()},
		"want at least 32":   {Store: kvtest.Memory(t), SealKey: []byte("short")},
		"want 12 digits":     {Store: kvtest.Memory(t), SealKey: sealKey(), Account: "12"},
		"written by a newer": {Store: newer(t), SealKey: sealKey()},
	} {
		if _, err := identity.Open(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an error with %q", err, want)
		}
	}
}

func TestDevKey(t *testing.T) {
	store := kvtest.Memory(t)
	off := open(t, store)
	_, err := off.Credentials(t.Context(), "test", "")
	wantError(t, err, rouse.Unauthenticated, "", "The security token included in the request is invalid.")
	_, err = off.Credentials(t.Context(), acc, "")
	wantError(t, err, rouse.Unauthenticated, "", "invalid")

	on := open(t, store, func(c *identity.Config) { c.DevKey = true })
	k := must[identity.Key](t)(on.Credentials(t.Context(), "test", ""))
	if k.Secret != "test" || !k.Origin.Root || k.Origin.Principal.Account != acc {
		t.Errorf("got %+v, want the root user of %s", k, acc)
	}
	for ip, want := range map[string]bool{"127.0.0.1": true, "::1": true, "::ffff:127.0.0.1": true, "10.0.0.1": false, "": false, "x": false} {
		if got := k.Permits(ip) == nil; got != want {
			t.Errorf("from %q: got %v, want %v", ip, got, want)
		}
	}
	from := k.Origin
	from.SourceIP = "10.0.0.1"
	wantError(t, on.Authorize(t.Context(), from, invoke("")), rouse.Denied, "", "is not authorized")
	from.SourceIP = ""
	ok(t, on.Authorize(t.Context(), from, invoke("")))
	wantError(t, off.Authorize(t.Context(), from, invoke("")), rouse.Denied, "", "is not authorized")

	anywhere := open(t, store, func(c *identity.Config) { c.DevKey, c.DevKeyAnywhere = true, true })
	k = must[identity.Key](t)(anywhere.Credentials(t.Context(), "test", ""))
	ok(t, k.Permits("10.0.0.1"))
}

func TestSessionsOfARole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := world(t)
		r := role(t, i, "app", trustLambda)
		c := must[identity.Credentials](t)(i.Session(t.Context(), acc, r.ARN(), "my function/1", time.Hour))
		k := must[identity.Key](t)(i.Credentials(t.Context(), c.AccessKeyID, c.SessionToken))
		if k.Secret != c.SecretAccessKey {
			t.Error("the derived secret differs from the one handed out")
		}
		if got, want := k.Origin.Principal.ARN, "arn:aws:sts::123456789012:assumed-role/app/my-function-1"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		if got, want := k.Origin.Principal.UserID, r.ID+":my-function-1"; got != want {
			t.Errorf("got user id %s, want %s", got, want)
		}
		// A token works with its own key id only, and not when it was touched.
		flipped := []byte(c.SessionToken)
		flipped[20] ^= 1
		for _, bad := range [][2]string{{"ASIAAAAAAAAAAAAAAAAA", c.SessionToken}, {c.AccessKeyID, string(flipped)}, {c.AccessKeyID, ""},
			{c.AccessKeyID, "x"}, {c.AccessKeyID, strings.Repeat("A", 5000)}} {
			_, err := i.Credentials(t.Context(), bad[0], bad[1])
			wantError(t, err, rouse.Unauthenticated, "", "The security token included in the request is invalid.")
		}
		<-time.After(time.Hour)
		_, err := i.Credentials(t.Context(), c.AccessKeyID, c.SessionToken)
		wantError(t, err, rouse.Unauthenticated, "ExpiredTokenException", "The security token included in the request is expired")

		// Deleted and made again, it is another role: the old session stays dead.
		c = must[identity.Credentials](t)(i.Session(t.Context(), acc, r.ARN(), "s1", time.Hour))
		before := must[identity.Key](t)(i.Credentials(t.Context(), c.AccessKeyID, c.SessionToken)).Origin
		ok(t, i.DeleteRole(t.Context(), acc, "app"))
		_, err = i.Credentials(t.Context(), c.AccessKeyID, c.SessionToken)
		wantError(t, err, rouse.Unauthenticated, "", "invalid")
		role(t, i, "app", trustLambda)
		ok(t, i.PutInline(t.Context(), identity.RoleNamed(acc, "app"), "p", allowInvoke))
		_, err = i.Credentials(t.Context(), c.AccessKeyID, c.SessionToken)
		wantError(t, err, rouse.Unauthenticated, "", "invalid")
		wantError(t, i.Authorize(t.Context(), before, invoke("")), rouse.Denied, "", "no identity-based policy")
	})
}

func TestSessionNeedsTrust(t *testing.T) {
	i := world(t)
	r := role(t, i, "human", trustRoot)
	_, err := i.Session(t.Context(), acc, r.ARN(), "x1", time.Hour)
	wantError(t, err, rouse.Invalid, "InvalidParameterValueException", "The role defined for the function cannot be assumed by Lambda.")
	_, err = i.Session(t.Context(), acc, "arn:aws:iam::123456789012:role/none", "x1", time.Hour)
	wantError(t, err, rouse.Invalid, "InvalidParameterValueException", "cannot be assumed")
	ok(t, i.SetTrust(t.Context(), acc, "human", trustLambda))
	must[identity.Credentials](t)(i.Session(t.Context(), acc, r.ARN(), "x1", time.Hour))
	_, err = i.Session(t.Context(), other, r.ARN(), "x1", time.Hour)
	wantError(t, err, rouse.Invalid, "InvalidParameterValueException", "cannot be assumed")
	if !i.Assumable(r.ARN(), "lambda.amazonaws.com") || i.Assumable(r.ARN(), "states.amazonaws.com") {
		t.Error("assumable by lambda and states: got otherwise, want lambda only")
	}
}

// rootOf is the root user of account.
func rootOf(account string) rouse.Origin {
	return rouse.Origin{Root: true, Principal: rouse.Principal{Account: account, ARN: "arn:aws:iam::" + account + ":root", UserID: account}}
}

func TestAssume(t *testing.T) {
	i := world(t)
	ctx := t.Context()
	ann := user(t, i, "ann")
	bob := user(t, i, "bob")
	root := rootOf(acc)
	byAccount := role(t, i, "by-account", trustRoot)
	byName := role(t, i, "by-name", strings.Replace(trustRoot, `"123456789012"`, `"arn:aws:iam::123456789012:user/ann"`, 1))
	external := role(t, i, "external", strings.Replace(trustRoot, `"Action"`, `"Condition":{"StringEquals":{"sts:ExternalId":"x1"}},"Action"`, 1))

	assume := func(from rouse.Origin, r *identity.Role, id string) error {
		a, err := i.Assume(ctx, from, identity.Assumption{RoleARN: r.ARN(), Session: "s1", ExternalID: id})
		if err == nil && a.Origin.RoleARN != r.ARN() {
			t.Errorf("got origin %+v, want one of %s", a.Origin, r.ARN())
		}
		return err
	}
	const denied = "is not authorized to perform: sts:AssumeRole on resource: arn:aws:iam::123456789012:role/"
	wantError(t, assume(ann, byAccount, ""), rouse.Denied, "", "User: arn:aws:iam::123456789012:user/ann "+denied+"by-account")
	ok(t, i.PutInline(ctx, identity.UserNamed(acc, "ann"), "p", `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"sts:AssumeRole","Resource":"*"}}`))
	ok(t, assume(ann, byAccount, ""))
	ok(t, assume(ann, byName, ""))
	wantError(t, assume(bob, byName, ""), rouse.Denied, "", denied)
	wantError(t, assume(ann, external, ""), rouse.Denied, "", denied)
	ok(t, assume(ann, external, "x1"))
	ok(t, assume(root, byAccount, ""))
	wantError(t, assume(root, byName, ""), rouse.Denied, "", denied)
	wantError(t, assume(rouse.Origin{}, byAccount, ""), rouse.Denied, "", denied)
	service := rouse.Origin{Principal: rouse.Principal{Service: "states.amazonaws.com"}}
	wantError(t, assume(service, byAccount, ""), rouse.Denied, "", denied)
	_, err := i.Assume(ctx, ann, identity.Assumption{RoleARN: "arn:aws:iam::123456789012:role/none", Session: "s1"})
	wantError(t, err, rouse.Denied, "", denied+"none")

	for _, bad := range []struct {
		a    identity.Assumption
		want string
	}{
		{identity.Assumption{RoleARN: byName.ARN(), Session: "a b"}, "roleSessionName"},
		{identity.Assumption{RoleARN: byName.ARN(), Session: "a"}, "roleSessionName"},
		{identity.Assumption{RoleARN: "x", Session: "ab"}, "x is invalid"},
		{identity.Assumption{RoleARN: byName.ARN(), Session: "ab", Duration: time.Minute}, "between 900 and 43200"},
		{identity.Assumption{RoleARN: byName.ARN(), Session: "ab", Duration: 2 * time.Hour}, "exceeds the MaxSessionDuration set for this role."},
	} {
		_, err := i.Assume(ctx, ann, bad.a)
		wantError(t, err, rouse.Invalid, "", bad.want)
	}
	// A session may assume on, for an hour at most.
	chain := must[identity.Assumed](t)(i.Assume(ctx, ann, identity.Assumption{RoleARN: byName.ARN(), Session: "s1"}))
	ok(t, i.PutInline(ctx, identity.RoleNamed(acc, "by-name"), "p", allowAll))
	hours := 43200
	ok(t, i.UpdateRole(ctx, acc, "by-account", nil, &hours))
	_, err = i.Assume(ctx, chain.Origin, identity.Assumption{RoleARN: byAccount.ARN(), Session: "s2", Duration: 2 * time.Hour})
	wantError(t, err, rouse.Invalid, "", "role chaining")
	must[identity.Assumed](t)(i.Assume(ctx, chain.Origin, identity.Assumption{RoleARN: byAccount.ARN(), Session: "s2"}))
}

func TestSessionToken(t *testing.T) {
	i := world(t)
	ann := user(t, i, "ann")
	c := must[identity.Credentials](t)(i.SessionToken(t.Context(), ann, 0))
	k := must[identity.Key](t)(i.Credentials(t.Context(), c.AccessKeyID, c.SessionToken))
	if k.Origin.Principal != ann.Principal || k.Origin.AccessKey != c.AccessKeyID {
		t.Errorf("got %+v, want ann under another key", k.Origin)
	}
	_, err := i.SessionToken(t.Context(), k.Origin, 0)
	wantError(t, err, rouse.Denied, "", "Cannot call GetSessionToken with session credentials")
	_, err = i.SessionToken(t.Context(), ann, time.Second)
	wantError(t, err, rouse.Invalid, "", "between 900 and 129600")
	c = must[identity.Credentials](t)(i.SessionToken(t.Context(), rootOf(acc), 0))
	if k := must[identity.Key](t)(i.Credentials(t.Context(), c.AccessKeyID, c.SessionToken)); !k.Origin.Root {
		t.Errorf("got %+v, want root", k.Origin)
	}
}

// TestOtherNode: a second node on the same store learns of changes.
func TestOtherNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := kvtest.Memory(t)
		one, two := open(t, store), open(t, store)
		must2(t)(one.Bootstrap(t.Context()))
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { ok(t, two.Run(ctx)) })
		for n := range 3 {
			role(t, one, "r"+strconv.Itoa(n), trustLambda)
		}
		<-time.After(2 * time.Second)
		role(t, two, "mine", trustLambda)
		if got := len(two.Roles(acc, "")); got != 4 {
			t.Errorf("got %d roles on the second node, want 4", got)
		}
		ok(t, one.DeleteRole(t.Context(), acc, "r1"))
		<-time.After(2 * time.Second)
		if _, err := two.Role(acc, "r1"); err == nil {
			t.Error("the second node still knows a deleted role")
		}
		cancel()
		wg.Wait()
	})
}

// deaf is a store whose hints are all lost.
type deaf struct{ kv.Store }

func (deaf) Wake([]byte) (<-chan struct{}, func()) { return nil, func() {} }

// TestFollowWithoutHints: a lost hint makes a change late, by a second at most, and not unseen.
func TestFollowWithoutHints(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := kvtest.Memory(t)
		one, two := open(t, store), open(t, deaf{store})
		must2(t)(one.Bootstrap(t.Context()))
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { ok(t, two.Run(ctx)) })
		role(t, one, "r", trustLambda)
		<-time.After(1100 * time.Millisecond)
		if _, err := two.Role(acc, "r"); err != nil {
			t.Errorf("a second later: got %v, want the role that the other node made", err)
		}
		cancel()
		wg.Wait()
	})
}

// TestConcurrentChanges: every change is seen when it returns, whatever else goes on.
func TestConcurrentChanges(t *testing.T) {
	i := world(t)
	role(t, i, "shared", trustLambda)
	var wg sync.WaitGroup
	for n := range 8 {
		wg.Go(func() {
			name := "role-" + strconv.Itoa(n)
			if _, err := i.CreateRole(t.Context(), identity.NewRole{Account: acc, Name: name, Trust: trustLambda}); err != nil {
				t.Errorf("create %s: got %v, want no error", name, err)
				return
			}
			if _, err := i.Role(acc, name); err != nil {
				t.Errorf("read %s after its creation: got %v, want no error", name, err)
			}
			if err := i.PutInline(t.Context(), identity.RoleNamed(acc, "shared"), name, allowInvoke); err != nil {
				t.Errorf("put %s: got %v, want no error", name, err)
			}
			if _, err := i.Inline(identity.RoleNamed(acc, "shared"), name); err != nil {
				t.Errorf("read policy %s after it was put: got %v, want no error", name, err)
			}
		})
	}
	wg.Wait()
	if got := must[[]string](t)(i.InlineNames(identity.RoleNamed(acc, "shared"))); len(got) != 8 {
		t.Errorf("got %d policies, want 8", len(got))
	}
}
