package identity

import (
	"context"
	"net/netip"
	"regexp"
	"strings"
	"time"

	"github.com/rouse-dev/rouse"
)

// The development key. It exists only when Config.DevKey is set.
const (
	DevKeyID     = "test"
	DevKeySecret = "test"
)

// Key is what a signature is checked with, and who signed if it is good.
type Key struct {
	Secret string
	Origin rouse.Origin // Principal, Root, AccessKey and RoleARN are set; the door adds the address and the rest
	// LoopbackOnly is set for the development key: see Permits.
	LoopbackOnly bool
}

// Permits refuses a key that is not to be used from sourceIP, the address of the client's socket. Doors call it before
// they accept a signature. The endpoint inside a sandbox gives "", which is no loopback address: functions have the
// credentials of their role.
func (k Key) Permits(sourceIP string) error {
	if !k.LoopbackOnly || loopback(sourceIP) {
		return nil
	}
	return rouse.Errorf(rouse.Unauthenticated, "The security token included in the request is invalid. "+
		"(The development key is accepted on loopback only; start with --dev-key to accept it elsewhere.)")
}

func loopback(ip string) bool {
	a, err := netip.ParseAddr(ip)
	return err == nil && a.Unmap().IsLoopback()
}

// devKeyFrom is the last line behind Permits: an origin that carries the development key is believed only where the
// key exists, and from elsewhere than loopback only if told. "" is inside the platform, one hop on from a caller who was
// checked.
func (i *Identity) devKeyFrom(sourceIP string) bool {
	return i.cfg.DevKey && (i.cfg.DevKeyAnywhere || sourceIP == "" || loopback(sourceIP))
}

// Credentials finds the key that signed. Errors are of Kind Unauthenticated with AWS's texts.
func (i *Identity) Credentials(_ context.Context, accessKeyID, sessionToken string) (Key, error) {
	s := i.current.Load()
	switch {
	case accessKeyID == DevKeyID && i.cfg.DevKey:
		return i.devKey(), nil
	case strings.HasPrefix(accessKeyID, temporary):
		return i.temporary(s, accessKeyID, sessionToken)
	}
	k := s.keys[accessKeyID]
	if k == nil || k.Status != StatusActive || sessionToken != "" {
		return Key{}, invalidToken()
	}
	if k.User == "" {
		if s.accounts[k.Account] == nil {
			return Key{}, invalidToken()
		}
		return Key{Secret: k.secret, Origin: rootOrigin(k.Account, accessKeyID)}, nil
	}
	u := s.users[key(k.Account, k.User)]
	if u == nil {
		return Key{}, invalidToken()
	}
	return Key{Secret: k.secret, Origin: userOrigin(u, accessKeyID)}, nil
}

func (i *Identity) devKey() Key {
	return Key{Secret: DevKeySecret, Origin: rootOrigin(i.cfg.Account, DevKeyID), LoopbackOnly: !i.cfg.DevKeyAnywhere}
}

func (i *Identity) temporary(s *snapshot, id, token string) (Key, error) {
	t, secret, err := i.vault.redeem(id, token)
	if err != nil {
		return Key{}, invalidToken()
	}
	if !i.now().Before(t.Expires) {
		return Key{}, rouse.Errorf(rouse.Unauthenticated, "The security token included in the request is expired").
			WithCode("ExpiredTokenException")
	}
	origin, ok := t.origin(s, id)
	if !ok {
		return Key{}, invalidToken()
	}
	return Key{Secret: secret, Origin: origin}, nil
}

// origin is who signs with the credentials of t, if there is still who got them.
func (t *ticket) origin(s *snapshot, id string) (o rouse.Origin, ok bool) {
	switch t.Kind {
	case ticketRoot:
		if s.accounts[t.Account] != nil {
			o, ok = rootOrigin(t.Account, id), true
		}
	case ticketUser:
		if u := s.users[key(t.Account, t.Name)]; u != nil && u.ID == t.ID {
			o, ok = userOrigin(u, id), true
		}
	case ticketRole:
		if r := s.roles[key(t.Account, t.Name)]; r != nil && r.ID == t.ID {
			o, ok = roleOrigin(r, t.Session, id), true
		}
	}
	o.Issued = t.Issued
	return o, ok
}

func invalidToken() error {
	return rouse.Errorf(rouse.Unauthenticated, "The security token included in the request is invalid.")
}

func rootOrigin(account, accessKey string) rouse.Origin {
	return rouse.Origin{Root: true, AccessKey: accessKey, Principal: rouse.Principal{
		Account: account, ARN: "arn:aws:iam::" + account + ":root", UserID: account,
	}}
}

func userOrigin(u *principal, accessKey string) rouse.Origin {
	return rouse.Origin{AccessKey: accessKey, Principal: rouse.Principal{Account: u.Account, ARN: u.arn, UserID: u.ID}}
}

func roleOrigin(r *principal, session, accessKey string) rouse.Origin {
	return rouse.Origin{AccessKey: accessKey, RoleARN: r.arn, Principal: rouse.Principal{
		Account: r.Account, ARN: "arn:aws:sts::" + r.Account + ":assumed-role/" + r.Name + "/" + session,
		UserID: r.ID + ":" + session,
	}}
}

// Credentials of a session.
type Credentials struct {
	AccessKeyID     string
	SecretAccessKey string
	SessionToken    string
	Expires         time.Time
}

// Assumption asks for a session of a role.
type Assumption struct {
	RoleARN    string
	Session    string        // its name, 2 to 64 characters
	Duration   time.Duration // 0: an hour
	ExternalID string        // for the condition key sts:ExternalId
}

// Assumed is a session of a role.
type Assumed struct {
	Credentials
	Origin rouse.Origin // of calls made in the session
}

var sessionPattern = regexp.MustCompile(`^[\w+=,.@-]*$`)

// Assume makes a session of a role, if the role trusts from and from may assume it. A service of the platform asks as
// Origin{Principal{Service: …}}.
func (i *Identity) Assume(_ context.Context, from rouse.Origin, a Assumption) (Assumed, error) {
	if !sessionPattern.MatchString(a.Session) || len(a.Session) < sessionNameMin || len(a.Session) > NameMax {
		return Assumed{}, rouse.Errorf(rouse.Invalid, "1 validation error detected: Value '%s' at 'roleSessionName' failed "+
			"to satisfy constraint: Member must satisfy regular expression pattern: [\\w+=,.@-]*, and have a length "+
			"between 2 and 64", a.Session)
	}
	arn, err := rouse.ParseARN(a.RoleARN)
	if err != nil || arn.Service != "iam" || !strings.HasPrefix(arn.Resource, "role/") {
		return Assumed{}, rouse.Errorf(rouse.Invalid, "%s is invalid", a.RoleARN)
	}
	s := i.current.Load()
	r := s.principals[a.RoleARN]
	need := rouse.Need{Action: "sts:AssumeRole", Resource: a.RoleARN, Conditions: map[string][]string{
		"sts:RoleSessionName": {a.Session}, "sts:ExternalId": present(a.ExternalID),
	}}
	q := question{i: i, s: s, from: &from, need: &need, trust: true}
	if r == nil || r.role == nil {
		return Assumed{}, q.denied("") // AWS does not tell strangers which roles exist
	}
	q.resource = r.trust
	if err := q.decide(); err != nil {
		return Assumed{}, err
	}
	d, err := sessionDuration(&from, r.role, a.Duration)
	if err != nil {
		return Assumed{}, err
	}
	return i.session(r, a.Session, d), nil
}

func sessionDuration(from *rouse.Origin, r *Role, d time.Duration) (time.Duration, error) {
	switch {
	case d == 0:
		return SessionDefault, nil
	case d < SessionMin || d > SessionMax:
		return 0, rouse.Errorf(rouse.Invalid, "1 validation error detected: Value '%d' at 'durationSeconds' failed to "+
			"satisfy constraint: Member must have value between 900 and 43200", int(d.Seconds()))
	case from.RoleARN != "" && d > time.Hour:
		return 0, rouse.Errorf(rouse.Invalid, "The requested DurationSeconds exceeds the 1 hour session limit for roles "+
			"assumed by role chaining")
	case d > time.Duration(r.MaxSession)*time.Second:
		return 0, rouse.Errorf(rouse.Invalid, "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.")
	}
	return d, nil
}

func (i *Identity) session(r *principal, session string, d time.Duration) Assumed {
	id := newAccessKeyID(temporary, r.Account)
	now := i.now().Truncate(time.Second) // as the token keeps it
	expires := now.Add(d)
	token, secret := i.vault.issue(id, ticket{Kind: ticketRole, Issued: now, Expires: expires, Account: r.Account,
		Name: r.Name, ID: r.ID, Session: session})
	origin := roleOrigin(r, session, id)
	origin.Issued = now
	return Assumed{
		Credentials: Credentials{AccessKeyID: id, SecretAccessKey: secret, SessionToken: token, Expires: expires},
		Origin:      origin,
	}
}

// Session gives an instance of a function the credentials of its role, which must be in account and trust
// lambda.amazonaws.com. It takes microseconds and writes nothing. sessionName is cut and cleaned to what AWS allows; ttl
// is at most 12 hours.
func (i *Identity) Session(_ context.Context, account, roleARN, sessionName string, ttl time.Duration) (Credentials, error) {
	r := i.current.Load().principals[roleARN]
	if r == nil || r.Account != account || !i.Assumable(roleARN, "lambda.amazonaws.com") {
		return Credentials{}, notAssumable()
	}
	return i.session(r, cleanSession(sessionName), min(ttl, instanceSessionMax)).Credentials, nil
}

// Assumable reports whether the role exists and its trust policy lets service ("lambda.amazonaws.com") assume it: what a
// service asks when a role is given to it.
func (i *Identity) Assumable(roleARN, service string) bool {
	s := i.current.Load()
	r := s.principals[roleARN]
	if r == nil || r.role == nil {
		return false
	}
	from := rouse.Origin{Principal: rouse.Principal{Service: service}}
	need := rouse.Need{Action: "sts:AssumeRole", Resource: roleARN}
	q := question{i: i, s: s, from: &from, need: &need, trust: true, resource: r.trust}
	return q.decide() == nil
}

func notAssumable() error {
	return rouse.Errorf(rouse.Invalid, "The role defined for the function cannot be assumed by Lambda.").
		WithCode("InvalidParameterValueException")
}

func cleanSession(name string) string {
	name = strings.Map(func(r rune) rune {
		if r < 0x80 && namePattern.MatchString(string(r)) {
			return r
		}
		return '-'
	}, name)
	if len(name) < sessionNameMin {
		name += "--"
	}
	return name[:min(len(name), NameMax)]
}

// SessionToken makes temporary credentials of a user or of the root user, who are the only ones that may ask.
func (i *Identity) SessionToken(_ context.Context, from rouse.Origin, d time.Duration) (Credentials, error) {
	s := i.current.Load()
	t := ticket{Account: from.Principal.Account}
	longest, usual := SessionTokenMax, 12*time.Hour
	switch u := s.principals[from.Principal.ARN]; {
	case from.RoleARN != "" || strings.HasPrefix(from.AccessKey, temporary):
		return Credentials{}, rouse.Errorf(rouse.Denied, "Cannot call GetSessionToken with session credentials")
	case from.Root:
		t.Kind, longest, usual = ticketRoot, time.Hour, time.Hour
	case u != nil && u.user != nil:
		t.Kind, t.Name, t.ID = ticketUser, u.Name, u.ID
	default:
		return Credentials{}, rouse.Errorf(rouse.Denied, "Cannot call GetSessionToken with these credentials")
	}
	if d == 0 {
		d = usual
	}
	if d < SessionMin || d > SessionTokenMax {
		return Credentials{}, rouse.Errorf(rouse.Invalid, "1 validation error detected: Value '%d' at 'durationSeconds' "+
			"failed to satisfy constraint: Member must have value between 900 and 129600", int(d.Seconds()))
	}
	id := newAccessKeyID(temporary, t.Account)
	t.Issued = i.now()
	t.Expires = t.Issued.Add(min(d, longest)).Truncate(time.Second)
	token, secret := i.vault.issue(id, t)
	return Credentials{AccessKeyID: id, SecretAccessKey: secret, SessionToken: token, Expires: t.Expires}, nil
}
